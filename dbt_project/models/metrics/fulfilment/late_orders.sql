{{ daily_sum('fct_order_backlog_daily', 'orders', dimensions=['bucket'], where='daily.is_late') }}
