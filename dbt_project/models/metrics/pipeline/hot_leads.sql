{{ daily_snapshot('int_pipeline_snapshots', 'hot_leads') }}
