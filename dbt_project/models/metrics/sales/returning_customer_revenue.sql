{{ daily_sum('fct_sales_daily', 'returning_customer_amount', dimensions=['channel']) }}
