{{ stock_snapshot('inventory_value') }}
