{{ daily_sum('fct_paid_media_daily', 'spend', dimensions=['channel']) }}
