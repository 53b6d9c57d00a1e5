{{ daily_ratio(
    'fct_marketing_daily',
    'daily.email_revenue',
    'daily.sales_amount',
    where="daily.email_revenue is not null",
) }}
