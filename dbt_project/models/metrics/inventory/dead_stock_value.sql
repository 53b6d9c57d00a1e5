{{ stock_snapshot('dead_stock_value') }}
