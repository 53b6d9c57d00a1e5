{{ config(
    unique_key='inventory_level_id',
    scope='inventory_item_id',
    changed_by={'inventory_items': 'id', 'stg_shopify__inventory_items': []},
    indexes=[{'columns': ['inventory_item_id']}],
) }}

select
    levels.id as inventory_level_id,
    items.inventory_item_id,
    items.sku,
    levels.location ->> 'id' as location_id,
    coalesce(levels."isActive", true) as is_active,
    quantities.on_hand,
    quantities.available,
    quantities.committed,
    quantities.incoming,
    quantities.reserved,
    quantities.damaged,
    quantities.safety_stock,
    levels."updatedAt" as updated_at
from {{ ref('stg_shopify__inventory_items') }} as items
inner join {{ source('raw_shopify', 'inventory_items') }} as raw on items.inventory_item_id = raw.id
cross join
    jsonb_to_recordset(raw.payload -> 'inventoryLevels') as levels (
        id text,
        "isActive" boolean,
        "updatedAt" timestamptz,
        location jsonb,
        quantities jsonb
    )
cross join
    lateral (
        select
            max(quantity.quantity) filter (where quantity.name = 'on_hand') as on_hand,
            max(quantity.quantity) filter (where quantity.name = 'available') as available,
            max(quantity.quantity) filter (where quantity.name = 'committed') as committed,
            max(quantity.quantity) filter (where quantity.name = 'incoming') as incoming,
            max(quantity.quantity) filter (where quantity.name = 'reserved') as reserved,
            max(quantity.quantity) filter (where quantity.name = 'damaged') as damaged,
            max(quantity.quantity) filter (where quantity.name = 'safety_stock') as safety_stock
        from jsonb_to_recordset(levels.quantities) as quantity (name text, quantity bigint)
    ) as quantities
where
    items.level_count > 0
    and {{ in_scope('items.inventory_item_id') }}
