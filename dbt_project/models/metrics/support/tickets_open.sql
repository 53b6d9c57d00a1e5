{{ daily_sum(ref('fct_support_daily'), 'open_tickets', dimensions=['system', 'priority']) }}
