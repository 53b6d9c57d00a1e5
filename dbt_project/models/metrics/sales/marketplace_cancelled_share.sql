{{ daily_ratio('fct_marketplace_sales_daily', 'daily.cancelled_orders', 'daily.orders_placed') }}
