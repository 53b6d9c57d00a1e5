{{ daily_sum(ref('fct_sample_requests_daily'), 'open_requests') }}
