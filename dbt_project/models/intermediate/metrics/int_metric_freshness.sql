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
),

fresh as (
    select
        needs.metric_id,
        needs.kind,
        bool_and(freshness.fresh_to is not null) filter (where needs.is_required) is not false as is_connected,
        min(freshness.fresh_to) as fresh_to,
        min(freshness.fresh_day) as fresh_day,
        min(freshness.complete_through) as complete_through
    from needs
    left join {{ ref('int_source_freshness') }} as freshness on needs.source = freshness.source
    group by needs.metric_id, needs.kind
),

known as (
    select
        fresh.metric_id,
        fresh.kind,
        fresh.is_connected,
        case when fresh.is_connected then fresh.fresh_to end as fresh_to,
        case when fresh.is_connected then fresh.fresh_day end as fresh_day,
        case when fresh.is_connected then fresh.complete_through end as complete_through
    from fresh
)

select
    known.*,
    -- From which day on a row may say something else when this row changes: its value, and its freshness.
    coalesce(known.complete_through, '0001-01-01'::date) as known_through,
    coalesce(known.complete_through - {{ var('late_arrival_days') | int + 1 }}, '0001-01-01'::date) as settled_through
from known
