{{ daily_snapshot('int_marketing_snapshots', 'listings_with_errors') }}
