{{ daily_sum(ref('fct_paid_media_daily'), 'conversions', dimensions=['channel']) }}
