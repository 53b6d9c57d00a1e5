-- The tickets opened, closed and open by day are those of the list.
with days as (
    select
        coalesce(sum(daily.opened), 0) as opened,
        coalesce(sum(daily.closed), 0) as closed,
        coalesce(sum(daily.open_tickets) filter (where daily.date = {{ as_of_day() }}), 0) as open_tickets
    from {{ ref('fct_support_daily') }} as daily
),

tickets as (
    select
        count(*) as opened,
        count(*) filter (where not listed.is_open and listed.closed_day <= {{ as_of_day() }}) as closed,
        count(*) filter (where listed.is_open) as open_tickets
    from {{ ref('fct_tickets') }} as listed
    where listed.opened_day <= {{ as_of_day() }}
)

select
    days.opened,
    tickets.opened as tickets_opened
from days
cross join tickets
where
    days.opened <> tickets.opened
    or days.closed <> tickets.closed
    or days.open_tickets <> tickets.open_tickets
