{{ config(materialized='lasting_view') }}

select
    raw.id as account_health_id,
    raw.payload ->> 'reportId' as report_id,
    raw.payload ->> 'marketplaceId' as marketplace_id,
    (raw.payload ->> 'reportCreatedTime')::timestamptz as reported_at,
    raw.payload ->> 'accountStatus' as account_status,
    coalesce(
        raw.payload -> 'performanceMetrics' -> 'accountHealthRating' ->> 'accountHealthRatingStatus',
        raw.payload -> 'performanceMetrics' -> 'accountHealthRating' ->> 'ahrStatus'
    ) as rating_status
from {{ source('raw_amazon', 'account_health') }} as raw
where raw.deleted_at is null
