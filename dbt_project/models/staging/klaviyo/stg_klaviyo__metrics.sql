{{ config(materialized='lasting_view') }}

select
    raw.id as metric_id,
    raw.payload ->> 'name' as metric_name,
    raw.payload -> 'integration' ->> 'name' as integration_name,
    raw.payload -> 'integration' ->> 'category' as integration_category,
    (raw.payload ->> 'created')::timestamptz as created_at,
    (raw.payload ->> 'updated')::timestamptz as updated_at
from {{ source('raw_klaviyo', 'metrics') }} as raw
where raw.deleted_at is null
