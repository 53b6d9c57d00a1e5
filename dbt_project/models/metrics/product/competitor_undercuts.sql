{{ daily_sum(ref('fct_competitor_undercuts_daily'), 'undercuts', dimensions=['competitor']) }}
