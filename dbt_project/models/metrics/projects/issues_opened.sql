{{ daily_count(ref('fct_issues'), 'opened_day', dimensions=['repository']) }}
