{{ stock_snapshot('key_sku_stock_out_rate') }}
