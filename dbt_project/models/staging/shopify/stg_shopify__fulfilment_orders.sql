{{ config(
    unique_key='fulfilment_order_id',
    scope='fulfilment_order_id',
    changed_by={'fulfillment_orders': 'id'},
    indexes=[{'columns': ['fulfilment_order_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_shopify', 'fulfillment_orders')) }}
)

select
    changed.id as fulfilment_order_id,
    f."orderId" as order_id,
    f.status,
    f."requestStatus" as request_status,
    f."createdAt" as created_at,
    f."updatedAt" as updated_at,
    f."fulfillAt" as fulfil_at,
    f."fulfillBy" as fulfil_by,
    f."assignedLocation" -> 'location' ->> 'id' as location_id,
    f."assignedLocation" ->> 'name' as location_name,
    quantities.total_quantity,
    quantities.remaining_quantity
from changed
cross join
    jsonb_to_record(changed.payload) as f (
        "orderId" text,
        status text,
        "requestStatus" text,
        "createdAt" timestamptz,
        "updatedAt" timestamptz,
        "fulfillAt" timestamptz,
        "fulfillBy" timestamptz,
        "assignedLocation" jsonb,
        "lineItems" jsonb
    )
cross join lateral (
    select
        coalesce(sum(line."totalQuantity"), 0)::bigint as total_quantity,
        coalesce(sum(line."remainingQuantity"), 0)::bigint as remaining_quantity
    from jsonb_to_recordset(f."lineItems") as line ("totalQuantity" bigint, "remainingQuantity" bigint)
) as quantities
