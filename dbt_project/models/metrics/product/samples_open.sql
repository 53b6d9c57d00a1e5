{{ daily_sum('fct_sample_requests_daily', 'open_requests') }}
