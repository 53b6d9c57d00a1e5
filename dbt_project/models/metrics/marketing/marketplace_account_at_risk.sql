{{ config(changed_by={'fct_marketplace_account_health': 'date'}) }}

select
    daily.date,
    'all' as dimension,
    'all' as dimension_value,
    {{ complete_sum('daily.is_at_risk::int') }}::numeric as value,
    {{ complete_sum('daily.is_at_risk::int') }}::numeric as numerator,
    null::numeric as denominator
from {{ ref('fct_marketplace_account_health') }} as daily
group by daily.date
