{{ daily_sum(ref('fct_app_tickets_daily'), 'opened', dimensions=['category', 'priority']) }}
