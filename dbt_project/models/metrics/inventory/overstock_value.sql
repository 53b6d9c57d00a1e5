{{ daily_snapshot('int_stock_snapshots', 'overstock_value') }}
