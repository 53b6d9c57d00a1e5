{{ daily_count('fct_app_unknown_customers', 'signup_day', dimensions=['source']) }}
