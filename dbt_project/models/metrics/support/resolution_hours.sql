{{ daily_ratio(
    'fct_support_daily',
    'daily.resolution_hours',
    'daily.resolutions',
    dimensions=['system', 'priority'],
) }}
