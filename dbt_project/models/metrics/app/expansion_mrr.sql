{{ daily_sum('fct_subscribers_daily', 'expansion_mrr') }}
