{{ daily_ratio(ref('fct_sales_daily'), 'daily.cancelled_orders', 'daily.orders', dimensions=['channel']) }}
