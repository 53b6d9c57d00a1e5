{{ daily_sum('fct_sales_daily', 'returned_lines') }}
