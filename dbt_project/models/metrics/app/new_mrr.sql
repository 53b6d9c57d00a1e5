{{ daily_sum('fct_subscribers_daily', 'new_mrr') }}
