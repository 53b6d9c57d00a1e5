{{ daily_sum('fct_marketplace_sales_daily', 'orders_unknown_to_shop') }}
