{{ daily_sum('fct_sample_requests_daily', 'overdue_requests') }}
