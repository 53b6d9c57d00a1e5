{{ config(
    unique_key='variant_id',
    scope='product_id',
    changed_by={'products': 'id', 'stg_shopify__products': []},
    indexes=[{'columns': ['product_id']}],
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
    variants."updatedAt" as updated_at
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
    and {{ in_scope('products.product_id') }}
