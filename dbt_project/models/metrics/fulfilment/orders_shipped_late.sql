{{ daily_shipped('daily.order_to_ship_hours > ' ~ threshold('fulfilment_critical_hours', 72)) }}
