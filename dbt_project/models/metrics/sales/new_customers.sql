{{ daily_sum('fct_sales_daily', 'new_customers') }}
