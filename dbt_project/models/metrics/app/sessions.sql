{{ daily_sum(ref('fct_app_sessions_daily'), 'sessions', dimensions=['platform']) }}
