{{ config(
    indexes=[{'columns': ['contact_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_hubspot', 'contacts'), 'contact_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_hubspot', 'contacts'), 'contact_id') }}
)

select
    unparsed.id as contact_id,
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
    p.lastmodifieddate as updated_at,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload -> 'properties') as p (
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
