{{ daily_sum('fct_outreach_daily', 'replies') }}
