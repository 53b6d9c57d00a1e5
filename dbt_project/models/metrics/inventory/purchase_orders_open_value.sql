{{ stock_snapshot('purchase_orders_open_value') }}
