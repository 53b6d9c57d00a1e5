{{ daily_sum('fct_email_coverage_daily', 'doubled_orders') }}
