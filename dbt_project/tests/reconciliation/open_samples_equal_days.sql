-- The list of open sample requests is what the days say of the clock's own day.
with listed as (
    select
        count(*) as open_requests,
        count(*) filter (where requests.is_overdue) as overdue_requests
    from {{ ref('fct_sample_requests_open') }} as requests
    where requests.requested_on <= {{ as_of_day() }}
),

by_day as (
    select
        coalesce(sum(days.open_requests), 0) as open_requests,
        coalesce(sum(days.overdue_requests), 0) as overdue_requests
    from {{ ref('fct_sample_requests_daily') }} as days
    where days.date = {{ as_of_day() }}
)

select
    listed.open_requests,
    by_day.open_requests as open_by_day,
    listed.overdue_requests,
    by_day.overdue_requests as overdue_by_day
from listed
cross join by_day
where
    listed.open_requests <> by_day.open_requests
    or listed.overdue_requests <> by_day.overdue_requests
