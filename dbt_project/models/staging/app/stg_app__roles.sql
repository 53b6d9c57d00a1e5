{{ config(materialized='lasting_view') }}

select
    raw.id as role_id,
    raw.payload ->> 'name' as role_name,
    raw.payload ->> 'description' as role_description
from {{ source('raw_app', 'roles') }} as raw
where raw.deleted_at is null
