{{ daily_sum('fct_outreach_daily', 'calls_made') }}
