{{ config(changed_by={'fct_work_orders': 'judged_day'}) }}

select
    daily.judged_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(count(*) filter (where daily.is_in_time)::numeric / nullif(count(*)::numeric, 0), 8) as value,
    count(*) filter (where daily.is_in_time)::numeric as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_work_orders') }} as daily
{{ by_dimension(['agent', 'priority']) }}
where
    daily.is_in_time is not null
    and daily.judged_day is not null
group by daily.judged_day, dimensions.dimension, dimensions.dimension_value
