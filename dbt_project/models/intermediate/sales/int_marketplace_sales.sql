{{ config(
    unique_key='order_id',
    scope='order_key',
    changed_by={'int_marketplace_orders': 'order_key', 'fct_orders': 'order_name'},
    indexes=[
        {'columns': ['order_id'], 'unique': true},
        {'columns': ['order_key']},
        {'columns': ['sales_day']},
    ],
) }}

-- An order that the shop has too is counted from the shop's record; here it is marked, so that a sum over both
-- counts it once.
select
    orders.order_id,
    orders.order_key,
    orders.seller_order_id,
    orders.sales_day,
    orders.marketplace_id,
    orders.is_fulfilled_by_amazon,
    orders.is_pending,
    orders.is_cancelled,
    orders.is_replacement,
    orders.is_sale,
    orders.currency,
    orders.units,
    orders.net_amount_company,
    exists(
        select 1 from {{ ref('fct_orders') }} as shop_orders
        where shop_orders.order_name = orders.seller_order_id
    ) as is_in_shop
from {{ ref('int_marketplace_orders') }} as orders
where {{ in_scope('orders.order_key') }}
