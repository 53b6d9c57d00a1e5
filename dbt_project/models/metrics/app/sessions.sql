{{ daily_sum('fct_app_sessions_daily', 'sessions', dimensions=['platform']) }}
