{{ config(unique_key='metric_id') }}

-- How far each metric is known: the earliest of its sources. A required source that was never synced leaves the
-- metric without any known day; an optional one counts only once it is connected.
with needs as (
    select
        metrics.metric_id,
        metrics.kind,
        needed.source,
        needed.source = any(metrics.required_sources) as is_required
    from {{ ref('dim_metric') }} as metrics
    cross join unnest(metrics.sources) as needed (source)
)

select
    needs.metric_id,
    needs.kind,
    bool_and(freshness.fresh_to is not null) filter (where needs.is_required) is not false as is_connected,
    case
        when bool_and(freshness.fresh_to is not null) filter (where needs.is_required) is not false
            then min(freshness.fresh_to)
    end as fresh_to,
    case
        when bool_and(freshness.fresh_to is not null) filter (where needs.is_required) is not false
            then min(freshness.fresh_day)
    end as fresh_day,
    case
        when bool_and(freshness.fresh_to is not null) filter (where needs.is_required) is not false
            then min(freshness.complete_through)
    end as complete_through,
    coalesce(
        case
            when bool_and(freshness.fresh_to is not null) filter (where needs.is_required) is not false
                then min(freshness.complete_through)
        end,
        '0001-01-01'::date
    ) as known_through
from needs
left join {{ ref('int_source_freshness') }} as freshness on needs.source = freshness.source
group by needs.metric_id, needs.kind
