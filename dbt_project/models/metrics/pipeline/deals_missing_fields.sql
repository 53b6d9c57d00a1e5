{{ daily_snapshot('int_pipeline_snapshots', 'deals_missing_fields') }}
