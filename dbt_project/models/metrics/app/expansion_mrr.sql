{{ daily_sum(ref('fct_subscribers_daily'), 'expansion_mrr') }}
