{{ config(
    unique_key='company_id',
    scope='company_id',
    changed_by={'companies': 'id'},
    indexes=[{'columns': ['company_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'companies')) }}
)

select
    changed.id as company_id,
    p.name as company_name,
    p.domain,
    p.country,
    p.industry,
    p.lifecyclestage as lifecycle_stage,
    p.hubspot_owner_id as owner_id,
    p.erp_customer_id,
    p.numberofemployees as employee_count,
    p.notes_last_contacted as last_contacted_at,
    p.createdate as created_at,
    p.hs_lastmodifieddate as updated_at
from changed
cross join jsonb_to_record(changed.payload -> 'properties') as p (
    name text,
    domain text,
    country text,
    industry text,
    lifecyclestage text,
    hubspot_owner_id text,
    erp_customer_id text,
    numberofemployees numeric,
    notes_last_contacted timestamptz,
    createdate timestamptz,
    hs_lastmodifieddate timestamptz
)
