{{ daily_sum('fct_support_daily', 'closed', dimensions=['system', 'priority']) }}
