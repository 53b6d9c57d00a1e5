{{ config(
    indexes=[{'columns': ['order_id']}],
    pre_hook="{{ forget_unlike_parent(ref('stg_shopify__orders'), 'order_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

select
    fulfilments.id as fulfilment_id,
    orders.order_id,
    fulfilments.status,
    fulfilments."createdAt" as created_at,
    fulfilments."updatedAt" as updated_at,
    fulfilments."inTransitAt" as in_transit_at,
    fulfilments."deliveredAt" as delivered_at,
    fulfilments.location ->> 'id' as location_id,
    orders._sync_id,
    {{ child_version('orders') }} as _version
from {{ ref('stg_shopify__orders') }} as orders
inner join {{ source('raw_shopify', 'orders') }} as raw on orders.order_id = raw.id
cross join
    jsonb_to_recordset(raw.payload -> 'fulfillments') as fulfilments (
        id text,
        status text,
        "createdAt" timestamptz,
        "updatedAt" timestamptz,
        "inTransitAt" timestamptz,
        "deliveredAt" timestamptz,
        location jsonb
    )
where
    orders.fulfilment_count > 0
    and {{ not_yet_built('orders', 'order_id') }}
