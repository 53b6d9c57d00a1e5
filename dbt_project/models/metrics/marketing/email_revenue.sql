{{ daily_sum(ref('fct_email_daily'), 'revenue', dimensions=['channel']) }}
