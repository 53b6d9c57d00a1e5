{{ daily_sum('fct_subscribers_daily', 'reactivation_mrr') }}
