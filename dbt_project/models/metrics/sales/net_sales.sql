{{ daily_sum(ref('fct_sales_daily'), 'net_amount', dimensions=['channel', 'country']) }}
