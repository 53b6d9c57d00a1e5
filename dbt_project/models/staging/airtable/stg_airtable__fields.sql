{{ config(materialized='lasting_view') }}

select
    raw.id as field_key,
    raw.payload ->> 'base_id' as base_id,
    raw.payload ->> 'table_id' as table_id,
    raw.payload ->> 'field_id' as field_id,
    raw.payload ->> 'name' as field_name,
    raw.payload ->> 'type' as field_type,
    raw.payload ->> 'description' as description,
    (raw.payload ->> 'options')::jsonb as options
from {{ source('raw_airtable', 'fields') }} as raw
where raw.deleted_at is null
