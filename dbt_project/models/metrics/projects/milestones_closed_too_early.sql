{{ daily_count('fct_milestones', 'closed_day', dimensions=['repository'], where='daily.is_closed_too_early') }}
