{{ config(changed_by={'fct_work_orders': 'answered_day'}) }}

select
    daily.answered_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(sum(daily.answer_hours) / nullif(count(*)::numeric, 0), 8) as value,
    sum(daily.answer_hours) as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_work_orders') }} as daily
{{ by_dimension(['agent', 'priority']) }}
where
    daily.answer_hours is not null
    and daily.answered_day is not null
group by daily.answered_day, dimensions.dimension, dimensions.dimension_value
