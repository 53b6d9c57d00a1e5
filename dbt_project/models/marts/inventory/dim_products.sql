{{ config(
    unique_key='sku',
    indexes=[{'columns': ['sku'], 'unique': true}],
) }}

-- One row per SKU. Where variants share a SKU, the one on sale stands for it, else the newest.
with variants as (
    select distinct on (variants.sku)
        variants.sku,
        variants.variant_id,
        variants.product_id,
        products.product_title,
        variants.variant_title,
        products.product_type,
        products.brand,
        products.status,
        variants.price,
        inventory_items.unit_cost,
        inventory_items.currency as unit_cost_currency,
        coalesce(inventory_items.is_tracked, true) as is_tracked
    from {{ ref('stg_shopify__variants') }} as variants
    inner join {{ ref('stg_shopify__products') }} as products on variants.product_id = products.product_id
    left join {{ ref('stg_shopify__inventory_items') }} as inventory_items
        on variants.inventory_item_id = inventory_items.inventory_item_id
    where variants.sku is not null
    order by variants.sku asc, (products.status = 'ACTIVE') desc, variants.created_at desc, variants.variant_id asc
),

items as (
    select distinct on (items.sku)
        items.sku,
        items.item_id,
        items.item_name,
        items.is_active,
        items.average_cost,
        items.lead_time_days,
        items.reorder_point,
        suppliers.supplier_name
    from {{ ref('stg_netsuite__items') }} as items
    left join {{ ref('stg_netsuite__vendors') }} as suppliers on items.supplier_id = suppliers.supplier_id
    where items.sku is not null
    order by items.sku asc, items.is_active desc, items.item_id asc
)

select
    coalesce(variants.sku, items.sku) as sku,
    variants.variant_id,
    variants.product_id,
    items.item_id,
    coalesce(
        variants.product_title || case
            when variants.variant_title is null or variants.variant_title = 'Default Title' then ''
            else ' - ' || variants.variant_title
        end,
        items.item_name,
        variants.sku,
        items.sku
    ) as product_name,
    variants.product_type,
    variants.brand,
    items.supplier_name,
    coalesce(variants.status = 'ACTIVE', items.is_active) as is_active,
    coalesce(variants.is_tracked, true) as is_tracked,
    variants.price,
    -- The ERP's average cost is in the company's currency; the shop's unit cost only counts where it is too.
    coalesce(
        items.average_cost,
        case when variants.unit_cost_currency = {{ company_currency() }} then variants.unit_cost end
    ) as unit_cost_company,
    items.lead_time_days,
    items.reorder_point
from variants
full outer join items on variants.sku = items.sku
