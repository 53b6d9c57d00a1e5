{{ daily_snapshot('int_stock_snapshots', 'key_sku_supply_share', is_ratio=true) }}
