{{ daily_shipped('daily.order_to_ship_hours <= 24', is_ratio=true) }}
