{{ config(changed_by={'fct_deals': 'closed_day'}) }}

select
    daily.closed_day as date,
    'all' as dimension,
    'all' as dimension_value,
    round((count(*) filter (where daily.is_won))::numeric / nullif(count(*)::numeric, 0), 8) as value,
    (count(*) filter (where daily.is_won))::numeric as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_deals') }} as daily
where
    daily.is_closed
    and daily.closed_day is not null
group by daily.closed_day
