{{ stock_snapshot('skus_out_of_stock') }}
