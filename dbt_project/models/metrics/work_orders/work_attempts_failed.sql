{{ daily_sum('fct_agent_days', 'failures', dimensions=['agent']) }}
