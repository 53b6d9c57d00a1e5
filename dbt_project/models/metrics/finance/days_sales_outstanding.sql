{{ config(changed_by={'fct_working_capital_daily': 'date'}) }}

select
    daily.date,
    'all' as dimension,
    'all' as dimension_value,
    round(daily.open_amount * daily.turnover_days / nullif(daily.billed_amount, 0), 8) as value,
    daily.open_amount * daily.turnover_days as numerator,
    daily.billed_amount as denominator
from {{ ref('fct_working_capital_daily') }} as daily
where daily.side = 'receivable'
