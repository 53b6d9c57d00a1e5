{{ daily_sum('fct_order_backlog_daily', 'orders') }}
