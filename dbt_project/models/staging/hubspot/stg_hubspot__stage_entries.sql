{{ config(
    unique_key='stage_change_id',
    scope='stage_change_id',
    changed_by={'stage_history': 'id'},
    indexes=[{'columns': ['stage_change_id'], 'unique': true}, {'columns': ['record_id']}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'stage_history')) }}
)

select
    changed.id as stage_change_id,
    changed.payload ->> 'object_type' as object_type,
    changed.payload ->> 'object_id' as record_id,
    changed.payload ->> 'value' as stage_id,
    (changed.payload ->> 'timestamp')::timestamptz as entered_at,
    changed.payload ->> 'sourceType' as change_source,
    changed.payload ->> 'updatedByUserId' as changed_by_user_id
from changed
