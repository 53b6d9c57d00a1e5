{{ daily_sum(ref('fct_email_daily'), 'campaigns_sent', dimensions=['channel']) }}
