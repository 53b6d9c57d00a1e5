{{ daily_ratio('fct_discount_codes_daily', 'daily.code_orders', 'daily.orders') }}
