{{ daily_sum(
    'fct_ageing_daily',
    'amount',
    dimensions=['bucket'],
    where="daily.side = 'receivable' and daily.is_overdue",
) }}
