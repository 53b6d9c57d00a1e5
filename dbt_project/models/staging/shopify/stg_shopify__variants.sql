{{ config(
    indexes=[{'columns': ['product_id']}],
    pre_hook="{{ forget_unlike_parent(ref('stg_shopify__products'), 'product_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

select
    variants.id as variant_id,
    products.product_id,
    variants.title as variant_title,
    nullif(variants.sku, '') as sku,
    variants.price::numeric as price,
    variants."compareAtPrice"::numeric as compare_at_price,
    variants."inventoryQuantity" as inventory_quantity,
    variants."inventoryItem" ->> 'id' as inventory_item_id,
    variants."createdAt" as created_at,
    variants."updatedAt" as updated_at,
    products._sync_id,
    {{ child_version('products') }} as _version
from {{ ref('stg_shopify__products') }} as products
inner join {{ source('raw_shopify', 'products') }} as raw on products.product_id = raw.id
cross join
    jsonb_to_recordset(raw.payload -> 'variants') as variants (
        id text,
        title text,
        sku text,
        price text,
        "compareAtPrice" text,
        "inventoryQuantity" bigint,
        "inventoryItem" jsonb,
        "createdAt" timestamptz,
        "updatedAt" timestamptz
    )
where
    products.variant_count > 0
    and {{ not_yet_built('products', 'product_id') }}
