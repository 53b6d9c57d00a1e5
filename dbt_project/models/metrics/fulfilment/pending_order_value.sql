{{ daily_sum(ref('fct_order_backlog_daily'), 'value', dimensions=['bucket']) }}
