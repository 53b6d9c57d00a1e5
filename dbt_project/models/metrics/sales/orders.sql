{{ daily_sum('fct_sales_daily', 'orders', dimensions=['channel', 'country']) }}
