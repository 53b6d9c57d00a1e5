{{ config(changed_by={'fct_ad_budget_daily': 'date'}) }}

select
    daily.date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(
        {{ complete_sum('daily.spend_month_to_date') }} / nullif({{ complete_sum('daily.budget_month_to_date') }}, 0), 8
    ) as value,
    {{ complete_sum('daily.spend_month_to_date') }} as numerator,
    {{ complete_sum('daily.budget_month_to_date') }} as denominator
from {{ ref('fct_ad_budget_daily') }} as daily
{{ by_dimension(['channel']) }}
group by daily.date, dimensions.dimension, dimensions.dimension_value
