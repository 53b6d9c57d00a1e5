{{ stock_snapshot('fba_units') }}
