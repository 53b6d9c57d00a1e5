{{ daily_ratio('fct_sales_daily', 'daily.cancelled_orders', 'daily.orders', dimensions=['channel']) }}
