{{ config(changed_by={'fct_work_orders': 'answered_day'}) }}

select
    daily.answered_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(count(*) filter (where daily.is_automatic)::numeric / nullif(count(*)::numeric, 0), 8) as value,
    count(*) filter (where daily.is_automatic)::numeric as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_work_orders') }} as daily
{{ by_dimension(['agent', 'priority']) }}
where
    not daily.is_withdrawn
    and daily.answered_day is not null
group by daily.answered_day, dimensions.dimension, dimensions.dimension_value
