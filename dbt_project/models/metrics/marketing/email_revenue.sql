{{ daily_sum('fct_email_daily', 'revenue', dimensions=['channel']) }}
