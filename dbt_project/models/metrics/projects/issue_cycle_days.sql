{{ config(changed_by={'fct_issues': 'closed_day'}) }}

select
    daily.closed_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(sum(daily.cycle_days) / nullif(count(*), 0), 8) as value,
    sum(daily.cycle_days) as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_issues') }} as daily
{{ by_dimension(['repository']) }}
where
    daily.is_completed
    and daily.closed_day is not null
group by daily.closed_day, dimensions.dimension, dimensions.dimension_value
