{{ daily_sum('fct_subscribers_daily', 'churn_mrr') }}
