{{ daily_count('fct_issues', 'closed_day', dimensions=['repository']) }}
