{{ daily_ratio('fct_paid_media_daily', 'daily.spend', 'daily.conversions', dimensions=['channel']) }}
