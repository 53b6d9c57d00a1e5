{{ daily_sum('fct_paid_media_daily', 'conversions', dimensions=['channel']) }}
