{{ config(
    unique_key='deal_id',
    scope='deal_id',
    changed_by={'deals': 'id'},
    indexes=[{'columns': ['deal_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'deals')) }}
)

select
    changed.id as deal_id,
    p.dealname as deal_name,
    p.pipeline as pipeline_id,
    p.dealstage as stage_id,
    p.dealtype as deal_type,
    p.amount,
    p.deal_currency_code as currency,
    p.amount_in_home_currency as home_amount,
    p.hs_deal_stage_probability as stage_probability,
    p.hs_is_closed as is_closed,
    p.hs_is_closed_won as is_won,
    p.closed_lost_reason as lost_reason,
    p.closedate as close_at,
    p.hubspot_owner_id as owner_id,
    p.erp_invoice_number,
    p.hs_next_step as next_step,
    p.num_contacted_notes as contact_count,
    p.num_associated_contacts as associated_contact_count,
    coalesce(p.hs_last_sales_activity_timestamp, p.notes_last_contacted) as last_contacted_at,
    p.createdate as created_at,
    p.hs_lastmodifieddate as updated_at
from changed
cross join jsonb_to_record(changed.payload -> 'properties') as p (
    dealname text,
    pipeline text,
    dealstage text,
    dealtype text,
    amount numeric,
    deal_currency_code text,
    amount_in_home_currency numeric,
    hs_deal_stage_probability numeric,
    hs_is_closed boolean,
    hs_is_closed_won boolean,
    closed_lost_reason text,
    closedate timestamptz,
    hubspot_owner_id text,
    erp_invoice_number text,
    hs_next_step text,
    num_contacted_notes numeric,
    num_associated_contacts numeric,
    hs_last_sales_activity_timestamp timestamptz,
    notes_last_contacted timestamptz,
    createdate timestamptz,
    hs_lastmodifieddate timestamptz
)
