{{ daily_sum('fct_channel_sales_daily', 'net_amount', dimensions=['channel', 'record']) }}
