{{ daily_sum(ref('fct_pipeline_daily'), 'weighted_value', dimensions=['stage']) }}
