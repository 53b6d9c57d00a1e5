{{ daily_count('fct_orders', 'ship_day') }}
