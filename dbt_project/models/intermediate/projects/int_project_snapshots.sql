{{ config(
    unique_key=['snapshot_day', 'measure', 'dimension', 'dimension_value'],
    scope='snapshot_day',
    only_recent=true,
    full_refresh=false,
    indexes=[{'columns': ['measure', 'snapshot_day']}, {'columns': ['snapshot_day']}],
) }}

-- Airtable shows what is now: each build keeps the day's picture, and the days before stay as they were seen.
-- Projects that were not synced on the day itself are unknown, not yesterday's.
with freshness as (
    select bool_and(sources.fresh_day >= {{ as_of_day() }}) as is_fresh
    from {{ ref('int_source_freshness') }} as sources
    where sources.source = 'airtable.projects'
),

counted as (
    select
        case
            when grouping(projects.rag) = 0 then 'rag'
            when grouping(projects.division) = 0 then 'division'
            else 'all'
        end as dimension,
        coalesce(
            case when grouping(projects.rag) = 0 then projects.rag end,
            case when grouping(projects.division) = 0 then projects.division end,
            'all'
        ) as dimension_value,
        count(*) as projects_open,
        count(*) filter (where projects.rag = 'red') as projects_red,
        count(*) filter (where projects.days_overdue > 0) as projects_overdue
    from {{ ref('fct_projects') }} as projects
    where projects.is_open
    group by grouping sets ((), (projects.rag), (projects.division))
)

select
    {{ as_of_day() }} as snapshot_day,
    measures.measure,
    counted.dimension,
    counted.dimension_value,
    case when freshness.is_fresh then measures.numerator end::numeric as numerator
from counted
cross join freshness
cross join
    lateral (
        values
        ('projects_open', counted.projects_open),
        ('projects_red', counted.projects_red),
        ('projects_overdue', counted.projects_overdue)
    ) as measures (measure, numerator)
where
    freshness.is_fresh is not null
    and (measures.measure = 'projects_open' or counted.dimension <> 'rag')
