{{ config(changed_by={'fct_orders': 'ship_day'}) }}

select
    orders.ship_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    count(*) filter (
        where orders.order_to_ship_hours > {{ threshold('fulfilment_critical_hours', 72) }}
    )::numeric as value,
    count(*) filter (
        where orders.order_to_ship_hours > {{ threshold('fulfilment_critical_hours', 72) }}
    )::numeric as numerator,
    null::numeric as denominator
from {{ ref('fct_orders') }} as orders
cross join
    lateral (
        values ('all', 'all'), ('channel', orders.channel)
    ) as dimensions (dimension, dimension_value)
where
    orders.ship_day is not null
    and not orders.is_custom
group by orders.ship_day, dimensions.dimension, dimensions.dimension_value
