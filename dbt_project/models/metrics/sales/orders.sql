{{ daily_sum(ref('fct_sales_daily'), 'orders', dimensions=['channel', 'country']) }}
