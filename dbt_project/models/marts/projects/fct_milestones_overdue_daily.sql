{{ config(
    unique_key=['date', 'repository'],
    indexes=[{'columns': ['date', 'repository'], 'unique': true}],
) }}

-- A milestone is overdue at the close of each day after its due day, until the day before it was closed.
select
    late.date::date as date,
    milestones.repository,
    count(*) as milestones_overdue
from {{ ref('fct_milestones') }} as milestones
cross join
    lateral generate_series(
        greatest(milestones.due_on + 1, milestones.opened_day)::timestamp,
        coalesce(milestones.closed_day - 1, {{ as_of_day() }})::timestamp,
        interval '1 day'
    ) as late (date)
where milestones.due_on is not null
group by late.date, milestones.repository
