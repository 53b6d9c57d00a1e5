{{ daily_sum('fct_discount_codes_daily', 'discount_amount', dimensions=['code'], where='daily.is_code') }}
