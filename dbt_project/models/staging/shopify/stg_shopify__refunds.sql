{{ config(
    unique_key='refund_id',
    scope='order_id',
    changed_by={'orders': 'id', 'stg_shopify__orders': []},
    indexes=[{'columns': ['order_id']}],
) }}

select
    refunds.id as refund_id,
    orders.order_id,
    refunds."createdAt" as created_at,
    coalesce(refunds."processedAt", refunds."createdAt") as processed_at,
    {{ shop_money('refunds."totalRefundedSet"') }} as total_refunded_amount,
    -- Shopify signs an adjustment from the shop's side: negative gives the customer more than the lines are worth.
    case
        when coalesce(jsonb_array_length(refunds."orderAdjustments"), 0) = 0 then 0
        else (
            select -sum({{ shop_money("adjustment -> 'amountSet'") }})
            from jsonb_array_elements(refunds."orderAdjustments") as adjustment
        )
    end as adjustment_amount,
    coalesce(jsonb_array_length(refunds."refundLineItems"), 0) as refund_line_count
from {{ ref('stg_shopify__orders') }} as orders
inner join {{ source('raw_shopify', 'orders') }} as raw on orders.order_id = raw.id
cross join
    jsonb_to_recordset(raw.payload -> 'refunds') as refunds (
        id text,
        "createdAt" timestamptz,
        "processedAt" timestamptz,
        "totalRefundedSet" jsonb,
        "orderAdjustments" jsonb,
        "refundLineItems" jsonb
    )
where
    orders.refund_count > 0
    and {{ in_scope('orders.order_id') }}
