{{ daily_count(ref('fct_issues'), 'closed_day', dimensions=['repository']) }}
