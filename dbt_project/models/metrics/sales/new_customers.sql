{{ daily_sum(ref('fct_sales_daily'), 'new_customers') }}
