{{ config(
    unique_key='date',
    scope='date',
    changed_by={'int_sample_requests': 'open_from..open_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- Requests open at the close of each day, told from their own days: history is known, however late we look.
select
    days.date,
    count(*) as open_requests,
    count(*) filter (where samples.due_on < days.date) as overdue_requests
from {{ days_in_scope(ref('int_sample_requests'), 'open_from') }} as days
inner join {{ ref('int_sample_requests') }} as samples
    on
        days.date >= samples.open_from
        and days.date <= coalesce(samples.open_until, 'infinity'::date)
where days.date <= {{ as_of_day() }}
group by days.date
