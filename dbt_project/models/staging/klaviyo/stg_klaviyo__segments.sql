{{ config(materialized='lasting_view') }}

select
    raw.id as segment_id,
    raw.payload ->> 'name' as segment_name,
    coalesce((raw.payload ->> 'is_active')::boolean, true) as is_active,
    (raw.payload ->> 'created')::timestamptz as created_at,
    (raw.payload ->> 'updated')::timestamptz as updated_at
from {{ source('raw_klaviyo', 'segments') }} as raw
where raw.deleted_at is null
