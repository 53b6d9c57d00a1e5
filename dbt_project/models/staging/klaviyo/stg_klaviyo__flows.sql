{{ config(materialized='lasting_view') }}

select
    raw.id as flow_id,
    raw.payload ->> 'name' as flow_name,
    raw.payload ->> 'status' as status,
    coalesce((raw.payload ->> 'archived')::boolean, false) as is_archived,
    raw.payload ->> 'trigger_type' as trigger_type,
    (raw.payload ->> 'created')::timestamptz as created_at,
    (raw.payload ->> 'updated')::timestamptz as updated_at
from {{ source('raw_klaviyo', 'flows') }} as raw
where raw.deleted_at is null
