{{ daily_snapshot('int_stock_snapshots', 'purchase_orders_overdue') }}
