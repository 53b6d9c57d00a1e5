{{ stock_snapshot('key_sku_supply_share') }}
