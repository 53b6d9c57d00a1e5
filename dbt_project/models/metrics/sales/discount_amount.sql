{{ daily_sum('fct_sales_daily', 'discount_amount') }}
