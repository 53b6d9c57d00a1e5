{{ daily_sum(ref('fct_sales_daily'), 'lines_without_customer') }}
