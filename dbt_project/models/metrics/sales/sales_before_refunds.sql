{{ daily_sum(ref('fct_sales_daily'), 'sales_amount', dimensions=['channel', 'country']) }}
