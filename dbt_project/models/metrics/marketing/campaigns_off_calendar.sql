{{ daily_count(
    'fct_campaigns',
    'sent_day',
    dimensions=['calendar_status'],
    where="daily.calendar_status in ('missing', 'misdated')",
) }}
