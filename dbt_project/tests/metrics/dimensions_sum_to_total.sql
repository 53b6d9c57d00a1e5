-- Where a metric that sums has a dimension, its values sum to the row of the whole day.
with parts as (
    select
        metric_values.metric_id,
        metric_values.date,
        metric_values.dimension,
        sum(metric_values.value) as value,
        bool_or(metric_values.value is null) as has_unknown
    from {{ ref('fct_metric_daily') }} as metric_values
    inner join {{ ref('dim_metric') }} as metrics on metric_values.metric_id = metrics.metric_id
    where
        metric_values.dimension <> 'all'
        and (metrics.aggregation = 'sum' or metrics.kind = 'level')
    group by metric_values.metric_id, metric_values.date, metric_values.dimension
)

select
    parts.metric_id,
    parts.date,
    parts.dimension,
    parts.value,
    totals.value as total
from parts
left join {{ ref('fct_metric_daily') }} as totals
    on
        parts.metric_id = totals.metric_id
        and parts.date = totals.date
        and totals.dimension = 'all'
where
    not parts.has_unknown
    and totals.value is distinct from parts.value
