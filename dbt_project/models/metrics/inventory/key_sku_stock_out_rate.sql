{{ daily_snapshot('int_stock_snapshots', 'key_sku_stock_out_rate', is_ratio=true) }}
