{{ daily_sum(ref('fct_marketplace_sales_daily'), 'orders_unknown_to_shop') }}
