-- A base metric that flows or stands has a row of the whole day for every day from its first to the last it covers.
select
    metric_values.metric_id,
    count(*) as days,
    min(metric_values.date) as first_day,
    max(metric_values.date) as last_day
from {{ ref('fct_metric_daily') }} as metric_values
inner join {{ ref('dim_metric') }} as metrics on metric_values.metric_id = metrics.metric_id
where
    metric_values.dimension = 'all'
    and metrics.kind in ('flow', 'level')
group by metric_values.metric_id, metrics.kind
having
    count(*) <> max(metric_values.date) - min(metric_values.date) + 1
    or max(metric_values.date) <> case when metrics.kind = 'flow' then {{ as_of_day() }} - 1 else {{ as_of_day() }} end
