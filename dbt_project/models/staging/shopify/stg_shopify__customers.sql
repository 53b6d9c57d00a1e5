{{ config(
    unique_key='customer_id',
    scope='customer_id',
    changed_by={'customers': 'id'},
    indexes=[{'columns': ['customer_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_shopify', 'customers')) }}
)

select
    changed.id as customer_id,
    c."createdAt" as created_at,
    c."updatedAt" as updated_at,
    c.state,
    coalesce((select array_agg(tag) from jsonb_array_elements_text(c.tags) as tag), '{}') as tags,
    c."numberOfOrders" as vendor_order_count,
    (c."amountSpent" ->> 'amount')::numeric as vendor_amount_spent,
    c."amountSpent" ->> 'currencyCode' as currency,
    c."defaultAddress" ->> 'countryCodeV2' as country,
    c."defaultAddress" ->> 'provinceCode' as province
from changed
cross join jsonb_to_record(changed.payload) as c (
    "createdAt" timestamptz,
    "updatedAt" timestamptz,
    state text,
    tags jsonb,
    "numberOfOrders" bigint,
    "amountSpent" jsonb,
    "defaultAddress" jsonb
)
