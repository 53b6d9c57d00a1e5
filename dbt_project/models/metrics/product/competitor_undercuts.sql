{{ daily_sum('fct_competitor_undercuts_daily', 'undercuts', dimensions=['competitor']) }}
