{{ config(changed_by={'fct_business_health_daily': 'date'}) }}

select
    scores.date,
    'all' as dimension,
    'all' as dimension_value,
    scores.score as value,
    scores.score as numerator,
    null::numeric as denominator
from {{ ref('fct_business_health_daily') }} as scores
