{{ daily_sum('fct_issues_open_daily', 'issues_open', dimensions=['repository']) }}
