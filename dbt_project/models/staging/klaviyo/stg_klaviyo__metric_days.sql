{{ config(materialized='lasting_view') }}

select
    raw.id as metric_day_id,
    raw.payload ->> 'metric_id' as metric_id,
    raw.payload ->> 'metric_name' as metric_name,
    raw.payload ->> 'integration' as integration_name,
    (raw.payload ->> 'day')::date as day,
    raw.payload ->> 'timezone' as timezone,
    (raw.payload ->> 'count')::bigint as event_count,
    (raw.payload ->> 'unique')::bigint as people_count,
    (raw.payload ->> 'value')::numeric as value_amount,
    raw.payload ->> 'currency' as currency
from {{ source('raw_klaviyo', 'metric_aggregates') }} as raw
where raw.deleted_at is null
