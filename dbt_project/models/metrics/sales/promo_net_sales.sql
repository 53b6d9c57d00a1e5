{{ daily_sum('fct_discount_codes_daily', 'sales_amount', dimensions=['code'], where='daily.is_code') }}
