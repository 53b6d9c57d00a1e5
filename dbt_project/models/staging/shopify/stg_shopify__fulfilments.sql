{{ config(
    unique_key='fulfilment_id',
    scope='order_id',
    changed_by={'orders': 'id', 'stg_shopify__orders': []},
    indexes=[{'columns': ['order_id']}],
) }}

select
    fulfilments.id as fulfilment_id,
    orders.order_id,
    fulfilments.status,
    fulfilments."createdAt" as created_at,
    fulfilments."updatedAt" as updated_at,
    fulfilments."inTransitAt" as in_transit_at,
    fulfilments."deliveredAt" as delivered_at,
    fulfilments.location ->> 'id' as location_id
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
    and {{ in_scope('orders.order_id') }}
