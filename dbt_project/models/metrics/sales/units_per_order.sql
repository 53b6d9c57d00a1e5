{{ daily_ratio('fct_sales_daily', 'daily.units', 'daily.orders', dimensions=['channel']) }}
