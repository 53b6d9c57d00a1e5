{{ daily_snapshot('int_marketing_snapshots', 'content_items_overdue') }}
