{{ daily_sum(ref('fct_pipeline_daily'), 'open_deals', dimensions=['stage']) }}
