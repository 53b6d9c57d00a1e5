{{ daily_sum('fct_pipeline_daily', 'pipeline_value', dimensions=['stage']) }}
