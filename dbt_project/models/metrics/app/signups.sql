{{ daily_sum('fct_signups_daily', 'signups', dimensions=['source']) }}
