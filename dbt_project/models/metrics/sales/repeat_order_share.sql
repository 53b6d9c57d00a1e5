{{ daily_ratio('fct_sales_daily', 'daily.repeat_orders', 'daily.orders_with_customer') }}
