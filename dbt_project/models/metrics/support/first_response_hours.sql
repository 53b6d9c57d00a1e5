{{ daily_ratio(
    'fct_support_daily',
    'daily.response_hours',
    'daily.responses',
    dimensions=['system', 'priority'],
) }}
