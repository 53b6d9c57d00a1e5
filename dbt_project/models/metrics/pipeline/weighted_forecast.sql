{{ daily_sum('fct_pipeline_daily', 'weighted_value', dimensions=['stage']) }}
