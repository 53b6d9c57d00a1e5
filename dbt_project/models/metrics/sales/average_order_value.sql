{{ daily_ratio('fct_sales_daily', 'daily.sales_amount', 'daily.orders') }}
