{{ config(changed_by={'fct_orders': 'ship_day'}) }}

select
    orders.ship_day as date,
    'all' as dimension,
    'all' as dimension_value,
    round(sum(orders.order_to_ship_hours) / nullif(count(*), 0), 8) as value,
    sum(orders.order_to_ship_hours) as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_orders') }} as orders
where
    orders.ship_day is not null
    and not orders.is_custom
group by orders.ship_day
