-- Every metric is what its parts make, each way it says it is made of them.
{% for way in metrics_unlike_their_parts() %}
    {{ way }}
    union all
{% endfor %}
select
    metric_values.metric_id,
    '' as made_of,
    metric_values.date,
    metric_values.dimension,
    metric_values.dimension_value,
    metric_values.value,
    metric_values.value as of_its_parts
from {{ ref('fct_metric_daily') }} as metric_values
where false
