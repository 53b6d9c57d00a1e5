{{ daily_sum('fct_sales_daily', 'new_customer_amount', dimensions=['channel']) }}
