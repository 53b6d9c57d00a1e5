{{ config(
    unique_key=['order_id', 'line_number'],
    scope='order_id',
    changed_by={'orders': 'id', 'stg_shopify__orders': []},
    indexes=[{'columns': ['order_id']}],
) }}

with changed as (
    select
        orders.order_id,
        raw.payload
    from {{ ref('stg_shopify__orders') }} as orders
    inner join {{ source('raw_shopify', 'orders') }} as raw on orders.order_id = raw.id
    where
        orders.line_count > 0
        and {{ in_scope('orders.order_id') }}
)

select
    line.value ->> 'id' as order_line_id,
    changed.order_id,
    line.position as line_number,
    coalesce(nullif(line.value ->> 'title', ''), nullif(line.value ->> 'sku', '')) as title,
    nullif(line.value ->> 'sku', '') as sku,
    (line.value ->> 'quantity')::bigint as quantity,
    (line.value ->> 'currentQuantity')::bigint as current_quantity,
    (line.value ->> 'unfulfilledQuantity')::bigint as unfulfilled_quantity,
    coalesce((line.value ->> 'requiresShipping')::boolean, true) as requires_shipping,
    coalesce((line.value ->> 'isGiftCard')::boolean, false) as is_gift_card,
    line.value -> 'product' ->> 'id' as product_id,
    line.value -> 'variant' ->> 'id' as variant_id,
    {{ shop_money("line.value -> 'originalUnitPriceSet'") }} as unit_price,
    {{ shop_money("line.value -> 'originalTotalSet'") }} as gross_amount,
    case
        when coalesce(jsonb_array_length(line.value -> 'discountAllocations'), 0) = 0 then 0
        else (
            select sum({{ shop_money("allocation -> 'allocatedAmountSet'") }})
            from jsonb_array_elements(line.value -> 'discountAllocations') as allocation
        )
    end as discount_amount,
    case
        when coalesce(jsonb_array_length(line.value -> 'taxLines'), 0) = 0 then 0
        else (
            select sum({{ shop_money("tax -> 'priceSet'") }})
            from jsonb_array_elements(line.value -> 'taxLines') as tax
        )
    end as tax_amount
from changed
cross join jsonb_array_elements(changed.payload -> 'lineItems') with ordinality as line (value, position)
