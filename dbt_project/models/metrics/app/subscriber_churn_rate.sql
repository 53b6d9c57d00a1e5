{{ config(changed_by={'fct_subscribers_daily': 'date'}) }}

select
    daily.date,
    'all' as dimension,
    'all' as dimension_value,
    round(daily.subscribers_lost::numeric / nullif(daily.subscribers_before, 0), 8) as value,
    daily.subscribers_lost::numeric as numerator,
    daily.subscribers_before::numeric as denominator
from {{ ref('fct_subscribers_daily') }} as daily
