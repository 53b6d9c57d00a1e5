{{ config(
    indexes=[{'columns': ['fulfilment_order_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_shopify', 'fulfillment_orders'), 'fulfilment_order_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_shopify', 'fulfillment_orders'), 'fulfilment_order_id') }}
)

select
    unparsed.id as fulfilment_order_id,
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
    quantities.remaining_quantity,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join
    jsonb_to_record(unparsed.payload) as f (
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
