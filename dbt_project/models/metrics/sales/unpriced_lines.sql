{{ daily_sum('fct_sales_daily', 'unpriced_lines') }}
