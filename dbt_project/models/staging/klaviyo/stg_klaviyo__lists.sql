{{ config(materialized='lasting_view') }}

select
    raw.id as list_id,
    raw.payload ->> 'name' as list_name,
    raw.payload ->> 'opt_in_process' as opt_in_process,
    (raw.payload ->> 'created')::timestamptz as created_at,
    (raw.payload ->> 'updated')::timestamptz as updated_at
from {{ source('raw_klaviyo', 'lists') }} as raw
where raw.deleted_at is null
