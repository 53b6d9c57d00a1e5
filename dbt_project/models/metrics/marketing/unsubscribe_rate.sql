{{ daily_ratio(
    'fct_email_daily',
    'daily.campaign_unsubscribers',
    'daily.campaign_delivered',
    where="daily.channel = 'email'",
) }}
