{{ daily_ratio(ref('fct_customer_value_daily'), 'daily.repeat_customers', 'daily.customers') }}
