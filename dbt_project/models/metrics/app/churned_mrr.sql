{{ daily_sum(ref('fct_subscribers_daily'), 'churn_mrr') }}
