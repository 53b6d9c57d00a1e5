{{ config(
    unique_key=['order_id', 'item_number'],
    scope='order_id',
    changed_by={'orders': 'id', 'stg_amazon__orders': []},
    indexes=[{'columns': ['order_id']}],
) }}

with changed as (
    select
        orders.order_id,
        raw.payload
    from {{ ref('stg_amazon__orders') }} as orders
    inner join {{ source('raw_amazon', 'orders') }} as raw on orders.order_id = raw.id
    where
        orders.item_count > 0
        and {{ in_scope('orders.order_id') }}
)

select
    changed.order_id || ':' || (item.value ->> 'orderItemId') as order_item_key,
    changed.order_id,
    item.value ->> 'orderItemId' as order_item_id,
    item.position as item_number,
    item.value -> 'product' ->> 'sellerSku' as sku,
    item.value -> 'product' ->> 'asin' as asin,
    item.value -> 'product' ->> 'title' as title,
    (item.value ->> 'quantityOrdered')::bigint as quantity,
    (item.value -> 'fulfillment' ->> 'quantityFulfilled')::bigint as quantity_fulfilled,
    (item.value -> 'fulfillment' ->> 'quantityUnfulfilled')::bigint as quantity_unfulfilled,
    item.value -> 'proceeds' -> 'proceedsTotal' ->> 'currencyCode' as currency,
    (item.value -> 'product' -> 'price' -> 'unitPrice' ->> 'amount')::numeric as unit_price,
    {{ amazon_proceeds("(item.value -> 'proceeds')", 'ITEM') }} as sales_amount,
    {{ amazon_proceeds("(item.value -> 'proceeds')", 'DISCOUNT') }} as promotion_amount,
    {{ amazon_proceeds("(item.value -> 'proceeds')", 'TAX') }} as tax_amount,
    (item.value -> 'proceeds' -> 'proceedsTotal' ->> 'amount')::numeric as total_amount
from changed
cross join jsonb_array_elements(changed.payload -> 'orderItems') with ordinality as item (value, position)
