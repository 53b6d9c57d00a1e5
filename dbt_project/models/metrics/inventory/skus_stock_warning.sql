{{ stock_snapshot('skus_stock_warning') }}
