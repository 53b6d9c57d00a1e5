{{ daily_sum('fct_email_daily', 'orders', dimensions=['channel']) }}
