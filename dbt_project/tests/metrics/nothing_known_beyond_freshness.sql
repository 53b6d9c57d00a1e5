-- No flow has a row for a day that is not over at the clock, and none a value for a day its sources do not cover.
select
    metric_values.metric_id,
    metric_values.date,
    metric_values.value
from {{ ref('fct_metric_daily') }} as metric_values
inner join {{ ref('dim_metric') }} as metrics on metric_values.metric_id = metrics.metric_id
left join {{ ref('int_metric_freshness') }} as freshness on metric_values.metric_id = freshness.metric_id
where
    metric_values.date > {{ as_of_day() }}
    or (metrics.kind = 'flow' and metric_values.date >= {{ as_of_day() }})
    or (
        metrics.kind = 'flow'
        and metric_values.date > coalesce(freshness.complete_through, '-infinity'::date)
        and (metric_values.value is not null or metric_values.numerator is not null)
    )
