{{ daily_sum('fct_work_orders_open_daily', 'orders_open', dimensions=['agent', 'priority']) }}
