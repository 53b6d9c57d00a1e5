{{ config(
    unique_key='refund_line_id',
    scope='order_id',
    changed_by={'orders': 'id', 'stg_shopify__orders': []},
    indexes=[{'columns': ['order_id']}],
) }}

select
    lines.id as refund_line_id,
    refunds.id as refund_id,
    orders.order_id,
    lines."lineItem" ->> 'id' as order_line_id,
    lines.quantity,
    lines."restockType" as restock_type,
    {{ shop_money('lines."subtotalSet"') }} as subtotal_amount,
    {{ shop_money('lines."totalTaxSet"') }} as tax_amount
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
    and {{ in_scope('orders.order_id') }}
