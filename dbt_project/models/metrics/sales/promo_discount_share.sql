{{ daily_ratio(
    'fct_discount_codes_daily',
    'daily.discount_amount',
    'daily.gross_amount',
    dimensions=['code'],
    where='daily.is_code',
) }}
