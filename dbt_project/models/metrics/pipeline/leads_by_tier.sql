{{ daily_snapshot('int_pipeline_snapshots', 'leads_by_tier') }}
