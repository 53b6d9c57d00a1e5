{{ config(
    indexes=[{'columns': ['order_id']}],
    pre_hook="{{ forget_unlike_parent(ref('stg_shopify__orders'), 'order_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

select
    lines.id as refund_line_id,
    refunds.id as refund_id,
    orders.order_id,
    lines."lineItem" ->> 'id' as order_line_id,
    lines.quantity,
    lines."restockType" as restock_type,
    {{ shop_money('lines."subtotalSet"') }} as subtotal_amount,
    {{ shop_money('lines."totalTaxSet"') }} as tax_amount,
    orders._sync_id,
    {{ child_version('orders') }} as _version
from {{ ref('stg_shopify__orders') }} as orders
inner join {{ source('raw_shopify', 'orders') }} as raw on orders.order_id = raw.id
cross join jsonb_to_recordset(raw.payload -> 'refunds') as refunds (id text, "refundLineItems" jsonb)
cross join
    jsonb_to_recordset(refunds."refundLineItems") as lines (
        id text,
        "lineItem" jsonb,
        quantity bigint,
        "restockType" text,
        "subtotalSet" jsonb,
        "totalTaxSet" jsonb
    )
where
    orders.refund_count > 0
    and {{ not_yet_built('orders', 'order_id') }}
