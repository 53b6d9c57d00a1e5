{{ daily_ratio(
    'fct_sales_daily',
    'daily.returning_customer_amount',
    'daily.new_customer_amount + daily.returning_customer_amount',
) }}
