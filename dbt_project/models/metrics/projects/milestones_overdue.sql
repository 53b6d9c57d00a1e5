{{ daily_sum('fct_milestones_overdue_daily', 'milestones_overdue', dimensions=['repository']) }}
