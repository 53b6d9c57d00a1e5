{{ daily_ratio(
    'fct_satisfaction_daily',
    'daily.satisfied',
    'daily.rated',
    dimensions=['channel'],
    where="daily.survey = 'csat'",
) }}
