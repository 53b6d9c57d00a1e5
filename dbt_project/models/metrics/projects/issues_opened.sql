{{ daily_count('fct_issues', 'opened_day', dimensions=['repository']) }}
