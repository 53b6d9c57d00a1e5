{{ config(
    unique_key='contact_id',
    scope='contact_id',
    changed_by={'contacts': 'id'},
    indexes=[{'columns': ['contact_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'contacts')) }}
)

select
    changed.id as contact_id,
    nullif(concat_ws(' ', p.firstname, p.lastname), '') as contact_name,
    p.jobtitle as job_title,
    p.company as company_name,
    p.associatedcompanyid as primary_company_id,
    p.country,
    p.lifecyclestage as lifecycle_stage,
    p.hs_lead_status as lead_status,
    p.hs_analytics_source as original_source,
    p.hubspot_owner_id as owner_id,
    p.num_contacted_notes as contact_count,
    coalesce(p.hs_last_sales_activity_timestamp, p.notes_last_contacted) as last_contacted_at,
    p.createdate as created_at,
    p.lastmodifieddate as updated_at
from changed
cross join jsonb_to_record(changed.payload -> 'properties') as p (
    firstname text,
    lastname text,
    jobtitle text,
    company text,
    associatedcompanyid text,
    country text,
    lifecyclestage text,
    hs_lead_status text,
    hs_analytics_source text,
    hubspot_owner_id text,
    num_contacted_notes numeric,
    hs_last_sales_activity_timestamp timestamptz,
    notes_last_contacted timestamptz,
    createdate timestamptz,
    lastmodifieddate timestamptz
)
