{{ daily_sum('fct_outreach_daily', 'emails_sent') }}
