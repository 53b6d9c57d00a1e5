{{ daily_sum('fct_sales_daily', 'cancelled_lines') }}
