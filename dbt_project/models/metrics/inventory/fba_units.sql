{{ daily_snapshot('int_stock_snapshots', 'fba_units') }}
