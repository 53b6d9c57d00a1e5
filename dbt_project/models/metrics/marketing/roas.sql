{{ daily_ratio(ref('fct_paid_media_daily'), 'daily.revenue', 'daily.spend', dimensions=['channel']) }}
