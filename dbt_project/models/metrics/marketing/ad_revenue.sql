{{ daily_sum('fct_paid_media_daily', 'revenue', dimensions=['channel']) }}
