{{ daily_ratio(ref('fct_sales_daily'), 'daily.refund_amount', 'daily.sales_amount') }}
