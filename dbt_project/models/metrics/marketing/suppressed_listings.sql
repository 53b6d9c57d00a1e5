{{ daily_snapshot('int_marketing_snapshots', 'suppressed_listings') }}
