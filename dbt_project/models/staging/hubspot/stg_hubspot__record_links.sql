{{ config(
    unique_key='association_id',
    scope='association_id',
    changed_by={'associations': 'id'},
    indexes=[{'columns': ['association_id'], 'unique': true}, {'columns': ['from_id']}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'associations')) }}
)

select
    changed.id as association_id,
    changed.payload ->> 'from_type' as from_type,
    changed.payload ->> 'from_id' as from_id,
    changed.payload ->> 'to_type' as to_type,
    changed.payload ->> 'to_id' as to_id,
    -- HubSpot's own types of a deal's and of a ticket's primary company; labels are translated.
    changed.payload -> 'types' @> '[{"category": "HUBSPOT_DEFINED", "typeId": 5}]'::jsonb
    or changed.payload -> 'types' @> '[{"category": "HUBSPOT_DEFINED", "typeId": 26}]'::jsonb as is_primary
from changed
