{{ daily_sum('fct_support_daily', 'opened', dimensions=['system', 'priority']) }}
