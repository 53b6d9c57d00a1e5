{{ daily_sum('fct_sales_daily', 'refund_amount') }}
