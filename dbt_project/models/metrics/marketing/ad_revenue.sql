{{ daily_sum(ref('fct_paid_media_daily'), 'revenue', dimensions=['channel']) }}
