{{ daily_ratio(ref('fct_paid_media_daily'), 'daily.spend', 'daily.conversions', dimensions=['channel']) }}
