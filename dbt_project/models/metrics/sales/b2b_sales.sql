{{ daily_sum(ref('fct_channel_sales_daily'), 'net_amount', where="daily.record = 'erp'") }}
