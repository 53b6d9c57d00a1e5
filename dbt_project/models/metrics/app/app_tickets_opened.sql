{{ daily_sum('fct_app_tickets_daily', 'opened', dimensions=['category', 'priority']) }}
