{{ daily_sum('fct_sales_daily', 'units') }}
