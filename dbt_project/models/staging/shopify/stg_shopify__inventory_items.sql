{{ config(
    unique_key='inventory_item_id',
    scope='inventory_item_id',
    changed_by={'inventory_items': 'id'},
    indexes=[{'columns': ['inventory_item_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_shopify', 'inventory_items')) }}
)

select
    changed.id as inventory_item_id,
    nullif(i.sku, '') as sku,
    coalesce(i.tracked, true) as is_tracked,
    (i."unitCost" ->> 'amount')::numeric as unit_cost,
    i."unitCost" ->> 'currencyCode' as currency,
    i."createdAt" as created_at,
    i."updatedAt" as updated_at,
    coalesce(jsonb_array_length(i."inventoryLevels"), 0) as level_count
from changed
cross join jsonb_to_record(changed.payload) as i (
    sku text,
    tracked boolean,
    "unitCost" jsonb,
    "createdAt" timestamptz,
    "updatedAt" timestamptz,
    "inventoryLevels" jsonb
)
