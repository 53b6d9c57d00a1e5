{{ daily_snapshot('int_stock_snapshots', 'days_of_supply', is_ratio=true) }}
