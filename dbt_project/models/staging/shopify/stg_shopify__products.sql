{{ config(
    unique_key='product_id',
    scope='product_id',
    changed_by={'products': 'id'},
    indexes=[{'columns': ['product_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_shopify', 'products')) }}
)

select
    changed.id as product_id,
    p.title as product_title,
    p.handle,
    p.status,
    nullif(p."productType", '') as product_type,
    nullif(p.vendor, '') as brand,
    coalesce((select array_agg(tag) from jsonb_array_elements_text(p.tags) as tag), '{}') as tags,
    p."createdAt" as created_at,
    p."updatedAt" as updated_at,
    coalesce(jsonb_array_length(p.variants), 0) as variant_count
from changed
cross join jsonb_to_record(changed.payload) as p (
    title text,
    handle text,
    status text,
    "productType" text,
    vendor text,
    tags jsonb,
    "createdAt" timestamptz,
    "updatedAt" timestamptz,
    variants jsonb
)
