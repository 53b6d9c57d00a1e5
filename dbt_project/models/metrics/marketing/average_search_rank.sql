{{ daily_ratio('fct_search_visibility_daily', 'daily.position_sum', 'daily.keywords', dimensions=['market']) }}
