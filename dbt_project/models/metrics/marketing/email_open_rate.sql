{{ daily_ratio(
    'fct_email_daily',
    'daily.campaign_openers',
    'daily.campaign_delivered',
    where="daily.channel = 'email'",
) }}
