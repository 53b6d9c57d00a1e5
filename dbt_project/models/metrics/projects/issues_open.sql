{{ daily_sum(ref('fct_issues_open_daily'), 'issues_open', dimensions=['repository']) }}
