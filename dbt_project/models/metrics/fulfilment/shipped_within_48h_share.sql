{{ daily_shipped('daily.order_to_ship_hours <= 48', is_ratio=true) }}
