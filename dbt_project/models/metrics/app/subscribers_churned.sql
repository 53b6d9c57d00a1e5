{{ daily_sum(ref('fct_subscribers_daily'), 'subscribers_churned') }}
