{{ config(materialized='lasting_view') }}

select
    raw.id as location_id,
    raw.payload ->> 'name' as location_name,
    coalesce(raw.payload ->> 'isinactive', 'F') = 'F' as is_active
from {{ source('raw_netsuite', 'locations') }} as raw
where raw.deleted_at is null
