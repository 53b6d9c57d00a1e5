{{ daily_ratio('fct_search_visibility_daily', 'daily.top10_keywords', 'daily.keywords', dimensions=['market']) }}
