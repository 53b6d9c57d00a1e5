{{ daily_ratio('fct_outreach_daily', 'daily.replies', 'daily.emails_sent') }}
