{{ config(
    unique_key='lead_id',
    scope='lead_id',
    changed_by={'stg_hubspot__contacts': 'contact_id'},
    indexes=[{'columns': ['lead_id'], 'unique': true}],
) }}

-- People who may become customers, without who they are.
select
    contacts.contact_id as lead_id,
    contacts.primary_company_id as company_id,
    contacts.lifecycle_stage,
    contacts.lead_status,
    contacts.original_source as source,
    contacts.owner_id,
    coalesce(contacts.contact_count, 0) as touches,
    points.points as status_points,
    {{ company_day('contacts.created_at') }} as created_day,
    {{ company_day('coalesce(contacts.last_contacted_at, contacts.created_at)') }} as last_active_day
from {{ ref('stg_hubspot__contacts') }} as contacts
left join {{ ref('lead_status_points') }} as points on upper(contacts.lead_status) = points.lead_status
where
    contacts.lifecycle_stage in ('lead', 'marketingqualifiedlead', 'salesqualifiedlead', 'opportunity')
    and {{ in_scope('contacts.contact_id') }}
