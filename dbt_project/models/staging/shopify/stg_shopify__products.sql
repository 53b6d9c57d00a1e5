{{ config(
    indexes=[{'columns': ['product_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_shopify', 'products'), 'product_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_shopify', 'products'), 'product_id') }}
)

select
    unparsed.id as product_id,
    p.title as product_title,
    p.handle,
    p.status,
    nullif(p."productType", '') as product_type,
    nullif(p.vendor, '') as brand,
    coalesce((select array_agg(tag) from jsonb_array_elements_text(p.tags) as tag), '{}') as tags,
    p."createdAt" as created_at,
    p."updatedAt" as updated_at,
    coalesce(jsonb_array_length(p.variants), 0) as variant_count,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as p (
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
