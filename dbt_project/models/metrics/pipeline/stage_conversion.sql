{{ config(changed_by={'fct_deal_stage_history': 'left_day'}) }}

select
    daily.left_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round((count(*) filter (where daily.is_converted))::numeric / nullif(count(*), 0), 8) as value,
    (count(*) filter (where daily.is_converted))::numeric as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_deal_stage_history') }} as daily
{{ by_dimension(['stage']) }}
where daily.is_converted is not null
group by daily.left_day, dimensions.dimension, dimensions.dimension_value
