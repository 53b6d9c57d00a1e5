{{ daily_ratio('fct_customer_value_daily', 'daily.sales_amount', 'daily.customers') }}
