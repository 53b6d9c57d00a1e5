{{ daily_sum('fct_support_daily', 'open_tickets', dimensions=['system', 'priority']) }}
