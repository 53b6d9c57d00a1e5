{{ config(
    unique_key='ticket_id',
    scope='source_id',
    changed_by={'stg_hubspot__tickets': 'ticket_id', 'stg_app__tickets': 'ticket_id'},
    indexes=[
        {'columns': ['ticket_id'], 'unique': true},
        {'columns': ['source_id']},
        {'columns': ['opened_day']},
        {'columns': ['responded_day']},
        {'columns': ['closed_day']},
    ],
) }}

-- Tickets of the CRM's help desk and of the app, without what customers wrote. One that was opened again is open, and
-- its earlier closing is forgotten. An answer or a closing before the ticket was opened is unknown.
with tickets as (
    select
        'hubspot:' || crm.ticket_id as ticket_id,
        crm.ticket_id as source_id,
        'hubspot' as system,
        lower(crm.priority) as priority,
        lower(crm.category) as category,
        crm.created_at as opened_at,
        crm.first_reply_at as first_response_at,
        case when coalesce(stages.is_closed, true) then crm.closed_at end as closed_at,
        coalesce(stages.is_closed, crm.closed_at is not null) as is_closed,
        crm.updated_at
    from {{ ref('stg_hubspot__tickets') }} as crm
    left join {{ ref('stg_hubspot__pipeline_stages') }} as stages
        on
            stages.object_type = 'tickets'
            and crm.pipeline_id = stages.pipeline_id
            and crm.stage_id = stages.stage_id
    where {{ in_scope('crm.ticket_id') }}

    union all

    select
        'app:' || app.ticket_id as ticket_id,
        app.ticket_id as source_id,
        'app' as system,
        app.priority,
        lower(app.category) as category,
        app.created_at,
        app.first_response_at,
        case when app.status in ('closed', 'resolved', 'solved') then coalesce(app.resolved_at, app.updated_at) end
            as closed_at,
        app.status in ('closed', 'resolved', 'solved') as is_closed,
        app.updated_at
    from {{ ref('stg_app__tickets') }} as app
    where {{ in_scope('app.ticket_id') }}
),

settled as (
    select
        tickets.*,
        case when tickets.is_closed then coalesce(tickets.closed_at, tickets.updated_at) end as ended_at
    from tickets
    where tickets.opened_at is not null
)

select
    settled.ticket_id,
    settled.source_id,
    settled.system,
    coalesce(settled.priority, 'none') as priority,
    coalesce(settled.category, 'none') as category,
    not settled.is_closed as is_open,
    settled.opened_at,
    case when settled.first_response_at >= settled.opened_at then settled.first_response_at end as first_response_at,
    settled.ended_at as closed_at,
    {{ company_day('settled.opened_at') }} as opened_day,
    case when settled.first_response_at >= settled.opened_at then {{ company_day('settled.first_response_at') }} end
        as responded_day,
    {{ company_day('settled.ended_at') }} as closed_day,
    -- The last day at whose close it was open; NULL while it is.
    {{ company_day('settled.ended_at') }} - 1 as open_until,
    case
        when settled.first_response_at >= settled.opened_at
            then round(extract(epoch from settled.first_response_at - settled.opened_at) / 3600, 6)
    end as first_response_hours,
    case
        when settled.ended_at >= settled.opened_at
            then round(extract(epoch from settled.ended_at - settled.opened_at) / 3600, 6)
    end as resolution_hours
from settled
