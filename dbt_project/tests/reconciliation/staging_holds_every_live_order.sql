-- Staging holds exactly the live raw orders, and each order as many children as it says it has.
with counted as (
    select
        (
            select count(*) from {{ source('raw_shopify', 'orders') }} as raw
            where raw.deleted_at is null
        ) as raw_orders,
        (select count(*) from {{ ref('stg_shopify__orders') }}) as orders,
        (select coalesce(sum(orders.line_count), 0) from {{ ref('stg_shopify__orders') }} as orders) as expected_lines,
        (select count(*) from {{ ref('stg_shopify__order_lines') }}) as lines,
        (
            select coalesce(sum(orders.refund_count), 0) from {{ ref('stg_shopify__orders') }} as orders
        ) as expected_refunds,
        (select count(*) from {{ ref('stg_shopify__refunds') }}) as refunds,
        (
            select coalesce(sum(orders.fulfilment_count), 0) from {{ ref('stg_shopify__orders') }} as orders
        ) as expected_fulfilments,
        (select count(*) from {{ ref('stg_shopify__fulfilments') }}) as fulfilments
)

select counted.*
from counted
where
    counted.raw_orders <> counted.orders
    or counted.expected_lines <> counted.lines
    or counted.expected_refunds <> counted.refunds
    or counted.expected_fulfilments <> counted.fulfilments
