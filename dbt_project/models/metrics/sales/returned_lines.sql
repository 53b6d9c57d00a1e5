{{ daily_sum(ref('fct_sales_daily'), 'returned_lines') }}
