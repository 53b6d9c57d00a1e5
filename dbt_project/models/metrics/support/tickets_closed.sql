{{ daily_sum(ref('fct_support_daily'), 'closed', dimensions=['system', 'priority']) }}
