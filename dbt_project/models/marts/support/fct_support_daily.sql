{{ config(
    unique_key=['date', 'system', 'priority'],
    scope='date',
    changed_by={'int_tickets': ['opened_day..open_until', 'opened_day', 'responded_day', 'closed_day'], 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'system', 'priority'], 'unique': true}],
) }}

-- What happened to tickets on each day, and how many were open at its close. The time of a first response counts on the
-- day it was given, that of a solution on the day the ticket was closed.
with happened as (
    select
        tickets.opened_day as date,
        tickets.system,
        tickets.priority,
        1 as opened,
        0 as closed,
        0 as open_tickets,
        0 as responses,
        0::numeric as response_hours,
        0 as resolutions,
        0::numeric as resolution_hours
    from {{ ref('int_tickets') }} as tickets
    where {{ in_scope('tickets.opened_day') }}

    union all

    select
        tickets.responded_day as date,
        tickets.system,
        tickets.priority,
        0 as opened,
        0 as closed,
        0 as open_tickets,
        1 as responses,
        tickets.first_response_hours as response_hours,
        0 as resolutions,
        0 as resolution_hours
    from {{ ref('int_tickets') }} as tickets
    where {{ in_scope('tickets.responded_day') }}

    union all

    select
        tickets.closed_day as date,
        tickets.system,
        tickets.priority,
        0 as opened,
        1 as closed,
        0 as open_tickets,
        0 as responses,
        0 as response_hours,
        (tickets.resolution_hours is not null)::int as resolutions,
        coalesce(tickets.resolution_hours, 0) as resolution_hours
    from {{ ref('int_tickets') }} as tickets
    where {{ in_scope('tickets.closed_day') }}

    union all

    select
        days.date,
        tickets.system,
        tickets.priority,
        0 as opened,
        0 as closed,
        1 as open_tickets,
        0 as responses,
        0 as response_hours,
        0 as resolutions,
        0 as resolution_hours
    from {{ days_in_scope(ref('int_tickets'), 'opened_day') }} as days
    inner join {{ ref('int_tickets') }} as tickets
        on
            days.date >= tickets.opened_day
            and (days.date <= tickets.open_until or tickets.open_until is null)
)

select
    happened.date,
    happened.system,
    happened.priority,
    sum(happened.opened) as opened,
    sum(happened.closed) as closed,
    sum(happened.open_tickets) as open_tickets,
    sum(happened.responses) as responses,
    sum(happened.response_hours) as response_hours,
    sum(happened.resolutions) as resolutions,
    sum(happened.resolution_hours) as resolution_hours
from happened
where happened.date <= {{ as_of_day() }}
group by happened.date, happened.system, happened.priority
