{{ daily_ratio('fct_sales_daily', 'daily.refund_amount', 'daily.sales_amount') }}
