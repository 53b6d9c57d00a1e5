{{ config(
    unique_key='call_id',
    scope='call_id',
    changed_by={'calls': 'id'},
    indexes=[{'columns': ['call_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'calls')) }}
)

select
    changed.id as call_id,
    p.hs_timestamp as happened_at,
    p.hs_call_direction as direction,
    p.hs_call_status as status,
    p.hs_call_disposition as outcome_id,
    round(p.hs_call_duration / 1000, 3) as duration_seconds,
    p.hubspot_owner_id as owner_id,
    p.hs_createdate as created_at,
    p.hs_lastmodifieddate as updated_at
from changed
cross join jsonb_to_record(changed.payload -> 'properties') as p (
    hs_timestamp timestamptz,
    hs_call_direction text,
    hs_call_status text,
    hs_call_disposition text,
    hs_call_duration numeric,
    hubspot_owner_id text,
    hs_createdate timestamptz,
    hs_lastmodifieddate timestamptz
)
