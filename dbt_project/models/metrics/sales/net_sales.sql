{{ daily_sum('fct_sales_daily', 'net_amount', dimensions=['channel', 'country']) }}
