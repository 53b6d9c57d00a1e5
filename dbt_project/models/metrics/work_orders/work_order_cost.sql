{{ config(changed_by={'fct_work_orders': 'answered_day'}) }}

select
    daily.answered_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(sum(daily.cost) / nullif(count(*)::numeric, 0), 8) as value,
    sum(daily.cost) as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_work_orders') }} as daily
{{ by_dimension(['agent', 'priority']) }}
where
    daily.cost is not null
    and daily.answered_day is not null
group by daily.answered_day, dimensions.dimension, dimensions.dimension_value
