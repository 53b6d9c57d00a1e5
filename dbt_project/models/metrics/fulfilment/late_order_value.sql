{{ daily_sum('fct_order_backlog_daily', 'value', dimensions=['bucket'], where='daily.is_late') }}
