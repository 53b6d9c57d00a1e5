{{ daily_sum('fct_sales_daily', 'order_lines', dimensions=['country']) }}
