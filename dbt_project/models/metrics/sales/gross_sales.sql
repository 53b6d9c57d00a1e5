{{ daily_sum('fct_sales_daily', 'gross_amount') }}
