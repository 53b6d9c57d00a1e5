{{ daily_snapshot('int_stock_snapshots', 'skus_out_of_stock') }}
