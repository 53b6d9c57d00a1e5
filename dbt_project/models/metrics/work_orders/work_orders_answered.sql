{{ daily_count('fct_work_orders', 'answered_day', dimensions=['agent', 'priority'], where='not daily.is_withdrawn') }}
