{{ config(
    unique_key='email_id',
    scope='email_id',
    changed_by={'emails': 'id'},
    indexes=[{'columns': ['email_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'emails')) }}
)

select
    changed.id as email_id,
    p.hs_timestamp as happened_at,
    p.hs_email_direction as direction,
    p.hs_email_status as status,
    p.hubspot_owner_id as owner_id,
    p.hs_createdate as created_at,
    p.hs_lastmodifieddate as updated_at
from changed
cross join jsonb_to_record(changed.payload -> 'properties') as p (
    hs_timestamp timestamptz,
    hs_email_direction text,
    hs_email_status text,
    hubspot_owner_id text,
    hs_createdate timestamptz,
    hs_lastmodifieddate timestamptz
)
