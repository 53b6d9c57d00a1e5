{{ daily_sum('fct_email_daily', 'campaigns_sent', dimensions=['channel']) }}
