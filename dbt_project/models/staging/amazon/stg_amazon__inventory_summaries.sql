{{ config(materialized='lasting_view') }}

with summaries as (
    select
        id,
        payload,
        payload -> 'inventoryDetails' as details
    from {{ source('raw_amazon', 'inventory_summaries') }}
    where deleted_at is null
)

select
    id as sku,
    payload ->> 'asin' as asin,
    payload ->> 'fnSku' as fulfilment_sku,
    payload ->> 'productName' as product_name,
    payload ->> 'condition' as item_condition,
    (payload ->> 'totalQuantity')::bigint as total_quantity,
    (details ->> 'fulfillableQuantity')::bigint as fulfillable_quantity,
    (details -> 'reservedQuantity' ->> 'totalReservedQuantity')::bigint as reserved_quantity,
    (details -> 'researchingQuantity' ->> 'totalResearchingQuantity')::bigint as researching_quantity,
    (details -> 'unfulfillableQuantity' ->> 'totalUnfulfillableQuantity')::bigint as unfulfillable_quantity,
    (details ->> 'inboundWorkingQuantity')::bigint
    + (details ->> 'inboundShippedQuantity')::bigint
    + (details ->> 'inboundReceivingQuantity')::bigint as inbound_quantity,
    nullif(payload ->> 'lastUpdatedTime', '')::timestamptz as updated_at
from summaries
