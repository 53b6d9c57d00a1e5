{{ daily_sum('fct_subscribers_daily', 'subscribers') }}
