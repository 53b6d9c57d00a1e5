{{ daily_snapshot('int_stock_snapshots', 'inventory_units') }}
