{{ daily_ratio(
    'fct_email_daily',
    'daily.campaign_clickers',
    'daily.campaign_delivered',
    where="daily.channel = 'email'",
) }}
