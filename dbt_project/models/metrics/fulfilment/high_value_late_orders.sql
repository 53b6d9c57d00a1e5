{{ daily_sum('fct_order_backlog_daily', 'high_value_orders', where='daily.is_late') }}
