{{ stock_snapshot('inventory_units') }}
