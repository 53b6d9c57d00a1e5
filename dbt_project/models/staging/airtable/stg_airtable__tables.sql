{{ config(materialized='lasting_view') }}

select
    raw.id as table_key,
    raw.payload ->> 'base_id' as base_id,
    raw.payload ->> 'table_id' as table_id,
    raw.payload ->> 'name' as table_name,
    raw.payload ->> 'description' as description,
    raw.payload ->> 'primary_field_id' as primary_field_id,
    (raw.payload ->> 'field_count')::int as field_count,
    {{ cell_list("(raw.payload -> 'entities')") }} as entities,
    coalesce(jsonb_array_length(raw.payload -> 'entities'), 0) > 0 as is_mapped
from {{ source('raw_airtable', 'tables') }} as raw
where raw.deleted_at is null
