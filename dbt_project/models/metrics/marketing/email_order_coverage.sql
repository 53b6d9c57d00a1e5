{{ daily_ratio('fct_email_coverage_daily', 'daily.heard_orders', 'daily.orders') }}
