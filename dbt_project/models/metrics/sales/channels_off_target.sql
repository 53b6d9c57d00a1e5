{{ config(changed_by={'fct_channel_balance_daily': 'date'}) }}

select
    daily.date,
    dimensions.dimension,
    dimensions.dimension_value,
    case when count(*) = count(daily.is_off_target) then count(*) filter (where daily.is_off_target) end::numeric
        as value,
    case when count(*) = count(daily.is_off_target) then count(*) filter (where daily.is_off_target) end::numeric
        as numerator,
    null::numeric as denominator
from {{ ref('fct_channel_balance_daily') }} as daily
{{ by_dimension(['channel']) }}
group by daily.date, dimensions.dimension, dimensions.dimension_value
