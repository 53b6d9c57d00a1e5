{{ daily_ratio('fct_paid_media_daily', 'daily.revenue', 'daily.spend', dimensions=['channel']) }}
