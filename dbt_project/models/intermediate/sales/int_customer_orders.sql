{{ config(
    unique_key='order_id',
    scope='customer_id',
    changed_by={'fct_orders': 'customer_id'},
    indexes=[{'columns': ['order_id'], 'unique': true}, {'columns': ['customer_id']}],
) }}

select
    orders.order_id,
    orders.customer_id,
    orders.sales_day,
    row_number() over (
        partition by orders.customer_id
        order by orders.processed_at, orders.order_id
    ) as customer_order_number
from {{ ref('fct_orders') }} as orders
where {{ in_scope('orders.customer_id') }}
