{{ daily_ratio('fct_agent_days', 'daily.busy_hours', 'daily.capacity_hours', dimensions=['agent']) }}
