{{ config(
    unique_key=['date', 'score', 'subject_id', 'component'],
    scope='date',
    only_recent=true,
    full_refresh=false,
    indexes=[{'columns': ['date', 'score', 'subject_id', 'component'], 'unique': true}, {'columns': ['subject_key', 'date']}],
) }}

-- What the scores of leads, open deals and accounts look at. The CRM tells most of it as it is now: each build keeps
-- the day's picture, and the days before stay as they were seen. NULL is unknown.
with freshness as (
    select max({{ as_of_day() }} - sources.fresh_day) as days_behind
    from {{ ref('int_source_freshness') }} as sources
    where sources.source in ('hubspot.contacts', 'hubspot.companies', 'hubspot.deals', 'hubspot.tickets')
),

leads as (
    select
        listed.lead_id,
        listed.touches,
        listed.status_points,
        companies.employee_count,
        {{ as_of_day() }} - listed.last_active_day as days_quiet
    from {{ ref('int_leads') }} as listed
    left join {{ ref('stg_hubspot__companies') }} as companies on listed.company_id = companies.company_id
),

accounts as (
    select
        companies.company_id,
        {{ as_of_day() }} - {{ company_day('companies.last_contacted_at') }} as days_since_contact,
        {{ as_of_day() }} - max(deals.closed_day) filter (where deals.is_won) as days_since_won,
        coalesce(sum(deals.weighted_amount) filter (where not deals.is_closed), 0) as weighted_amount
    from {{ ref('stg_hubspot__companies') }} as companies
    left join {{ ref('fct_deals') }} as deals on companies.company_id = deals.company_id
    group by companies.company_id, companies.last_contacted_at, companies.lifecycle_stage
    having companies.lifecycle_stage = 'customer' or bool_or(deals.is_won)
),

account_tickets as (
    select
        links.to_id as company_id,
        count(distinct tickets.ticket_id) as tickets
    from {{ ref('stg_hubspot__associations') }} as links
    inner join {{ ref('int_tickets') }} as tickets on 'hubspot:' || links.from_id = tickets.ticket_id
    where
        links.from_type = 'tickets'
        and links.to_type = 'companies'
        and tickets.opened_day > {{ as_of_day() }} - 90
    group by links.to_id
),

inputs as (
    select
        'lead' as score,
        leads.lead_id as subject_id,
        components.component,
        components.input_value
    from leads
    cross join
        lateral (
            values
            ('engagement', leads.touches::numeric),
            ('recency', leads.days_quiet::numeric),
            ('intent', leads.status_points),
            ('fit', leads.employee_count::numeric)
        ) as components (component, input_value)

    union all

    select
        'deal' as score,
        deals.deal_id,
        components.component,
        components.input_value
    from {{ ref('fct_deals') }} as deals
    cross join
        lateral (
            values
            ('size', deals.amount_company),
            ('engagement', deals.touches::numeric),
            ('stage', deals.probability),
            ('timeline', deals.days_in_stage / nullif(deals.expected_days, 0))
        ) as components (component, input_value)
    where not deals.is_closed

    union all

    select
        'account' as score,
        accounts.company_id,
        components.component,
        components.input_value
    from accounts
    left join account_tickets on accounts.company_id = account_tickets.company_id
    cross join
        lateral (
            values
            ('buying', accounts.days_since_won::numeric),
            ('pipeline', accounts.weighted_amount),
            ('contact', accounts.days_since_contact::numeric),
            ('support', coalesce(account_tickets.tickets, 0)::numeric)
        ) as components (component, input_value)
)

select
    {{ as_of_day() }} as date,
    inputs.score,
    inputs.subject_id,
    inputs.score || ':' || inputs.subject_id as subject_key,
    inputs.component,
    round(inputs.input_value, 6) as input_value,
    freshness.days_behind
from inputs
cross join freshness
where freshness.days_behind is not null
