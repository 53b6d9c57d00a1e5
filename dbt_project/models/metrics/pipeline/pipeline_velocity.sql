{{ config(changed_by={'fct_pipeline_velocity_daily': 'date'}) }}

select
    daily.date,
    'all' as dimension,
    'all' as dimension_value,
    daily.value_per_day as value,
    daily.value_per_day as numerator,
    null::numeric as denominator
from {{ ref('fct_pipeline_velocity_daily') }} as daily
where daily.value_per_day is not null
