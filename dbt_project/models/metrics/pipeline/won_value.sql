{{ config(changed_by={'fct_deals': 'closed_day'}) }}

select
    daily.closed_day as date,
    'all' as dimension,
    'all' as dimension_value,
    {{ complete_sum('daily.amount_company') }} as value,
    {{ complete_sum('daily.amount_company') }} as numerator,
    null::numeric as denominator
from {{ ref('fct_deals') }} as daily
where
    daily.is_won
    and daily.closed_day is not null
group by daily.closed_day
