{{ daily_sum('fct_sales_daily', 'lines_without_customer') }}
