{{ daily_count('fct_work_orders', 'received_day', dimensions=['agent', 'priority']) }}
