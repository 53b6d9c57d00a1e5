{{ daily_snapshot('int_stock_snapshots', 'skus_stock_watch') }}
