{{ daily_sum('fct_subscribers_daily', 'contraction_mrr') }}
