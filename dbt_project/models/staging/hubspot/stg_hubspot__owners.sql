{{ config(materialized='lasting_view') }}

select
    raw.id as owner_id,
    nullif(concat_ws(' ', raw.payload ->> 'firstName', raw.payload ->> 'lastName'), '') as owner_name,
    raw.payload ->> 'userId' as user_id,
    coalesce((raw.payload ->> 'archived')::boolean, false) as is_former
from {{ source('raw_hubspot', 'owners') }} as raw
where raw.deleted_at is null
