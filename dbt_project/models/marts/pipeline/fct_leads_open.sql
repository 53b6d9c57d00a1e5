{{ config(
    unique_key='lead_id',
    indexes=[{'columns': ['lead_id'], 'unique': true}],
) }}

-- Leads as a person works through them: a company where they belong to one, else a country; never a person's name. The
-- CRM's number finds the record.
select
    leads.lead_id,
    coalesce(
        companies.company_name,
        'Lead from ' || coalesce(countries.country_name, contacts.country),
        'Lead'
    ) as lead,
    split_part(owners.owner_name, ' ', 1) as owner,
    case leads.source when 'OFFLINE' then 'offline sources' else lower(replace(leads.source, '_', ' ')) end as source,
    lower(replace(leads.lead_status, '_', ' ')) as lead_status,
    leads.lifecycle_stage,
    leads.created_day,
    leads.last_active_day,
    {{ as_of_day() }} - leads.last_active_day as days_quiet,
    leads.age_days,
    leads.touches,
    leads.touches_due,
    leads.touches_due - leads.touches as touches_missing,
    leads.is_touch_overdue,
    -- When the first touch that is missing fell due.
    case
        when leads.is_touch_overdue
            then
                leads.age_days - case leads.touches
                    when 0 then {{ threshold('lead_touch_first_days', 3) }}
                    when 1 then {{ threshold('lead_touch_second_days', 7) }}
                    else {{ threshold('lead_touch_third_days', 14) }}
                end::integer
    end as days_overdue,
    round(leads.score) as score,
    leads.tier,
    coalesce(leads.tier, 'unknown') in ('hot', 'warm') as is_worth_a_touch
from {{ ref('fct_leads') }} as leads
left join {{ ref('stg_hubspot__contacts') }} as contacts on leads.lead_id = contacts.contact_id
left join {{ ref('stg_hubspot__companies') }} as companies on leads.company_id = companies.company_id
left join {{ ref('country_names') }} as countries on upper(contacts.country) = countries.country
left join {{ ref('stg_hubspot__owners') }} as owners on leads.owner_id = owners.owner_id
where coalesce(upper(leads.lead_status), '') <> 'UNQUALIFIED'
