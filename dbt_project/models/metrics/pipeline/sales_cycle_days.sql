{{ config(changed_by={'fct_deals': 'closed_day'}) }}

select
    daily.closed_day as date,
    'all' as dimension,
    'all' as dimension_value,
    round(sum(daily.cycle_days) / nullif(count(daily.cycle_days)::numeric, 0), 8) as value,
    sum(daily.cycle_days) as numerator,
    count(daily.cycle_days)::numeric as denominator
from {{ ref('fct_deals') }} as daily
where
    daily.is_won
    and daily.closed_day is not null
group by daily.closed_day
