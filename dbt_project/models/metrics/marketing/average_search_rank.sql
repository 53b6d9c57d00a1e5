{{ daily_ratio(ref('fct_search_visibility_daily'), 'daily.position_sum', 'daily.keywords', dimensions=['market']) }}
