{{ daily_sum('fct_pipeline_daily', 'open_deals', dimensions=['stage']) }}
