{{ daily_sum(ref('fct_pipeline_daily'), 'pipeline_value', dimensions=['stage']) }}
