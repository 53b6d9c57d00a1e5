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
    raw.id as stage_change_id,
    raw.payload ->> 'object_type' as object_type,
    raw.payload ->> 'object_id' as record_id,
    raw.payload ->> 'value' as stage_id,
    (raw.payload ->> 'timestamp')::timestamptz as entered_at,
    lead((raw.payload ->> 'timestamp')::timestamptz) over record_in_time as left_at,
    raw.payload ->> 'sourceType' as change_source,
    raw.payload ->> 'updatedByUserId' as changed_by_user_id
from {{ source('raw_hubspot', 'stage_history') }} as raw
where
    raw.deleted_at is null
    and raw.payload ->> 'record' in (select living.record from living)
window record_in_time as (
    partition by raw.payload ->> 'record'
    order by (raw.payload ->> 'timestamp')::timestamptz, raw.id
)
