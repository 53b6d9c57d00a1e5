{{ daily_sum(ref('fct_sales_daily'), 'order_lines', dimensions=['country']) }}
