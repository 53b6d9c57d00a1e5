{{ config(changed_by={'fct_support_daily': 'date', 'fct_sales_daily': 'date'}) }}

with tickets as (
    select
        daily.date,
        sum(daily.opened) as opened
    from {{ ref('fct_support_daily') }} as daily
    group by daily.date
),

sales as (
    select
        daily.date,
        sum(daily.orders) as orders
    from {{ ref('fct_sales_daily') }} as daily
    group by daily.date
)

select
    coalesce(tickets.date, sales.date) as date,
    'all' as dimension,
    'all' as dimension_value,
    round(100 * coalesce(tickets.opened, 0)::numeric / nullif(coalesce(sales.orders, 0), 0), 8) as value,
    100 * coalesce(tickets.opened, 0)::numeric as numerator,
    coalesce(sales.orders, 0)::numeric as denominator
from tickets
full join sales on tickets.date = sales.date
