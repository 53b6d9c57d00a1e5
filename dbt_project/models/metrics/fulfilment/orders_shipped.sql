{{ daily_count(ref('fct_orders'), 'ship_day') }}
