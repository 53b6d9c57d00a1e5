{{ config(materialized='lasting_view') }}

select
    raw.id as base_id,
    raw.payload ->> 'name' as base_name,
    raw.payload ->> 'permission_level' as permission_level,
    coalesce((raw.payload ->> 'ignored')::boolean, false) as is_ignored
from {{ source('raw_airtable', 'bases') }} as raw
where raw.deleted_at is null
