{{ config(
    indexes=[{'columns': ['customer_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_shopify', 'customers'), 'customer_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_shopify', 'customers'), 'customer_id') }}
)

select
    unparsed.id as customer_id,
    c."createdAt" as created_at,
    c."updatedAt" as updated_at,
    c.state,
    coalesce((select array_agg(tag) from jsonb_array_elements_text(c.tags) as tag), '{}') as tags,
    c."numberOfOrders" as vendor_order_count,
    (c."amountSpent" ->> 'amount')::numeric as vendor_amount_spent,
    c."amountSpent" ->> 'currencyCode' as currency,
    c."defaultAddress" ->> 'countryCodeV2' as country,
    c."defaultAddress" ->> 'provinceCode' as province,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as c (
    "createdAt" timestamptz,
    "updatedAt" timestamptz,
    state text,
    tags jsonb,
    "numberOfOrders" bigint,
    "amountSpent" jsonb,
    "defaultAddress" jsonb
)
