{{ daily_sum(ref('fct_subscribers_daily'), 'contraction_mrr') }}
