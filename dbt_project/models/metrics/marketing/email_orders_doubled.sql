{{ daily_sum(ref('fct_email_coverage_daily'), 'doubled_orders') }}
