{{ stock_snapshot('skus_overstock') }}
