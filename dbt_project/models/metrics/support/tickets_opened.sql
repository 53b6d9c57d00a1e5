{{ daily_sum(ref('fct_support_daily'), 'opened', dimensions=['system', 'priority']) }}
