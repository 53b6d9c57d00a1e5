{{ daily_sum(ref('fct_subscribers_daily'), 'new_mrr') }}
