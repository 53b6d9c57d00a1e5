{{ daily_sum('fct_paid_media_daily', 'barren_spend', dimensions=['channel']) }}
