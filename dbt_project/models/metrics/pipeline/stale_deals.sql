{{ daily_snapshot('int_pipeline_snapshots', 'stale_deals') }}
