{{ daily_sum(ref('fct_subscribers_daily'), 'reactivation_mrr') }}
