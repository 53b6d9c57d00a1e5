{{ daily_sum(ref('fct_email_daily'), 'orders', dimensions=['channel']) }}
