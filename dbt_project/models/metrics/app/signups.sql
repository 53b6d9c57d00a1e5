{{ daily_sum(ref('fct_signups_daily'), 'signups', dimensions=['source']) }}
