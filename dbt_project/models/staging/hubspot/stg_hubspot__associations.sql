{{ config(materialized='lasting_view') }}

with living as (
    select 'deals:' || raw.id as record
    from {{ source('raw_hubspot', 'deals') }} as raw
    where raw.deleted_at is null
    union all
    select 'tickets:' || raw.id
    from {{ source('raw_hubspot', 'tickets') }} as raw
    where raw.deleted_at is null
)

select
    raw.id as association_id,
    raw.payload ->> 'from_type' as from_type,
    raw.payload ->> 'from_id' as from_id,
    raw.payload ->> 'to_type' as to_type,
    raw.payload ->> 'to_id' as to_id,
    -- HubSpot's own types of a deal's and of a ticket's primary company; labels are translated.
    raw.payload -> 'types' @> '[{"category": "HUBSPOT_DEFINED", "typeId": 5}]'::jsonb
    or raw.payload -> 'types' @> '[{"category": "HUBSPOT_DEFINED", "typeId": 26}]'::jsonb as is_primary
from {{ source('raw_hubspot', 'associations') }} as raw
where
    raw.deleted_at is null
    and raw.payload ->> 'from' in (select living.record from living)
