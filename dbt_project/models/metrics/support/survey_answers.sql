{{ daily_sum('fct_satisfaction_daily', 'answers', dimensions=['survey']) }}
