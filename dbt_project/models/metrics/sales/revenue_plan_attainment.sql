{{ config(changed_by={'fct_revenue_plan_daily': 'date'}) }}

select
    daily.date,
    'all' as dimension,
    'all' as dimension_value,
    round(daily.net_sales_month_to_date / nullif(daily.plan_month_to_date, 0), 8) as value,
    daily.net_sales_month_to_date as numerator,
    daily.plan_month_to_date as denominator
from {{ ref('fct_revenue_plan_daily') }} as daily
where
    daily.date < {{ as_of_day() }}
    and daily.net_sales is not null
