{{ daily_snapshot('int_project_snapshots', 'projects_open') }}
