{{ config(materialized='lasting_view') }}

select
    orders.order_id,
    orders.customer_id,
    row_number() over (
        partition by orders.customer_id
        order by orders.processed_at, orders.order_id
    ) as customer_order_number
from {{ ref('fct_orders') }} as orders
where orders.customer_id is not null
