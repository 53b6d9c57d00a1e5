{{ daily_sum('fct_discount_codes_daily', 'code_orders', dimensions=['code'], where='daily.is_code') }}
