{{ config(
    unique_key='ticket_id',
    scope='ticket_id',
    changed_by={'tickets': 'id'},
    indexes=[{'columns': ['ticket_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'tickets')) }}
)

select
    changed.id as ticket_id,
    p.subject,
    p.content as ticket_text,
    p.hs_pipeline as pipeline_id,
    p.hs_pipeline_stage as stage_id,
    p.hs_ticket_priority as priority,
    p.hs_ticket_category as category,
    p.source_type as source,
    p.hubspot_owner_id as owner_id,
    p.shop_order_name as order_name,
    p.first_agent_reply_date as first_reply_at,
    p.closed_date as closed_at,
    p.createdate as created_at,
    p.hs_lastmodifieddate as updated_at
from changed
cross join jsonb_to_record(changed.payload -> 'properties') as p (
    subject text,
    content text,
    hs_pipeline text,
    hs_pipeline_stage text,
    hs_ticket_priority text,
    hs_ticket_category text,
    source_type text,
    hubspot_owner_id text,
    shop_order_name text,
    first_agent_reply_date timestamptz,
    closed_date timestamptz,
    createdate timestamptz,
    hs_lastmodifieddate timestamptz
)
