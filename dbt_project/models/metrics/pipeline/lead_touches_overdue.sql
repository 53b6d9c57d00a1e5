{{ daily_snapshot('int_pipeline_snapshots', 'lead_touches_overdue') }}
