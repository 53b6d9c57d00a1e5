{{ config(unique_key='sku') }}

-- Stock of each SKU over all locations. The ERP counts the goods; the shop's own levels stand in for a SKU the
-- ERP does not know (or for all of them where there is no ERP).
with erp as (
    select
        items.sku,
        sum(levels.on_hand) as on_hand,
        sum(levels.available) as available,
        sum(levels.on_order) as on_order,
        sum(levels.in_transit) as in_transit,
        max(coalesce(levels.reorder_point, items.reorder_point)) as reorder_point,
        max(coalesce(items.lead_time_days, levels.lead_time_days)) as lead_time_days,
        count(distinct levels.location_id) filter (where levels.on_hand > 0) as stocked_locations
    from {{ ref('stg_netsuite__inventory_by_location') }} as levels
    inner join {{ ref('stg_netsuite__items') }} as items on levels.item_id = items.item_id
    where items.sku is not null
    group by items.sku
),

shop as (
    select
        levels.sku,
        sum(coalesce(levels.on_hand, levels.available, 0)) as on_hand,
        sum(coalesce(levels.available, 0)) as available,
        sum(coalesce(levels.incoming, 0)) as on_order,
        count(distinct levels.location_id) filter (where levels.on_hand > 0) as stocked_locations
    from {{ ref('stg_shopify__inventory_levels') }} as levels
    inner join {{ ref('stg_shopify__inventory_items') }} as items
        on levels.inventory_item_id = items.inventory_item_id
    where
        levels.sku is not null
        and items.is_tracked
        and levels.is_active
    group by levels.sku
)

select
    coalesce(erp.sku, shop.sku) as sku,
    case when erp.sku is not null then 'netsuite' else 'shopify' end as source,
    coalesce(erp.on_hand, shop.on_hand)::numeric as on_hand,
    coalesce(erp.available, shop.available)::numeric as available,
    coalesce(erp.on_order, shop.on_order)::numeric as on_order,
    coalesce(erp.in_transit, 0)::numeric as in_transit,
    erp.reorder_point,
    erp.lead_time_days,
    coalesce(erp.stocked_locations, shop.stocked_locations) as stocked_locations
from erp
full outer join shop on erp.sku = shop.sku
