{{ daily_sum(ref('fct_paid_media_daily'), 'barren_spend', dimensions=['channel']) }}
