{{ stock_snapshot('days_of_supply') }}
