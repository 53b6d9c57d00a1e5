{{ config(changed_by={'fct_work_orders': 'taken_day'}) }}

select
    daily.taken_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(sum(daily.pickup_seconds) / nullif(count(*)::numeric, 0), 8) as value,
    sum(daily.pickup_seconds) as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_work_orders') }} as daily
{{ by_dimension(['agent', 'priority']) }}
where
    daily.priority = 'P0' and daily.pickup_seconds is not null
    and daily.taken_day is not null
group by daily.taken_day, dimensions.dimension, dimensions.dimension_value
