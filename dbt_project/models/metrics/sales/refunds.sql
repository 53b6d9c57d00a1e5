{{ daily_sum(ref('fct_sales_daily'), 'refund_amount') }}
