{{ daily_snapshot('int_stock_snapshots', 'dead_stock_value') }}
