{{ config(
    unique_key=['date', 'agent'],
    indexes=[{'columns': ['date', 'agent'], 'unique': true}],
) }}

-- How long each agent was at work on each company day, of the time it could have been: a run at once for each place it
-- has, around the clock. An attempt over midnight counts on both days.
with days as (
    select
        day.date::date as date,
        day.date at time zone company.company_timezone as begins,
        (day.date + interval '1 day') at time zone company.company_timezone as ends
    from {{ ref('int_company') }} as company
    cross join generate_series(
        (
            select min({{ company_day('attempts.started_at') }})::timestamp
            from {{ source('ops', 'work_attempts') }} as attempts
        ),
        {{ as_of_day() }}::timestamp,
        interval '1 day'
    ) as day (date)
),

worked as (
    select
        days.date,
        attempts.agent,
        count(*) as attempts,
        count(*) filter (where attempts.outcome in ('failed', 'died') and attempts.ended_at < days.ends) as failures,
        sum(
            extract(
                epoch from least(coalesce(attempts.ended_at, {{ as_of() }}), days.ends)
                - greatest(attempts.started_at, days.begins)
            )
        ) as busy_seconds
    from days
    inner join {{ source('ops', 'work_attempts') }} as attempts
        on
            days.ends > attempts.started_at
            and coalesce(attempts.ended_at, {{ as_of() }}) >= days.begins
    group by days.date, attempts.agent
)

select
    days.date,
    agents.agent,
    coalesce(worked.attempts, 0) as attempts,
    coalesce(worked.failures, 0) as failures,
    round(coalesce(worked.busy_seconds, 0) / 3600, 6) as busy_hours,
    round(agents.instances * extract(epoch from least(days.ends, {{ as_of() }}) - days.begins) / 3600, 6)
        as capacity_hours
from days
cross join {{ source('ops', 'work_agents') }} as agents
left join worked on days.date = worked.date and agents.agent = worked.agent
