{{ stock_snapshot('overstock_value') }}
