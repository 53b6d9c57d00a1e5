{{ config(
    indexes=[{'columns': ['inventory_item_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_shopify', 'inventory_items'), 'inventory_item_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_shopify', 'inventory_items'), 'inventory_item_id') }}
)

select
    unparsed.id as inventory_item_id,
    nullif(i.sku, '') as sku,
    coalesce(i.tracked, true) as is_tracked,
    (i."unitCost" ->> 'amount')::numeric as unit_cost,
    i."unitCost" ->> 'currencyCode' as currency,
    i."createdAt" as created_at,
    i."updatedAt" as updated_at,
    coalesce(jsonb_array_length(i."inventoryLevels"), 0) as level_count,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as i (
    sku text,
    tracked boolean,
    "unitCost" jsonb,
    "createdAt" timestamptz,
    "updatedAt" timestamptz,
    "inventoryLevels" jsonb
)
