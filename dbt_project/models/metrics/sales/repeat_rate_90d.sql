{{ daily_ratio('fct_customer_value_daily', 'daily.repeat_customers', 'daily.customers') }}
