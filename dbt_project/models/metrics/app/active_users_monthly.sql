{{ daily_sum('fct_app_activity_daily', 'active_users_month') }}
