{{ daily_ratio(ref('fct_sales_daily'), 'daily.units', 'daily.orders', dimensions=['channel']) }}
