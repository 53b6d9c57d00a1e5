{{ daily_sum('fct_sales_daily', 'sales_amount', dimensions=['channel', 'country']) }}
