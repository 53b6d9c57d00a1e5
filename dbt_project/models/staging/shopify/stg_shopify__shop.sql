{{ config(materialized='lasting_view') }}

select
    raw.id as shop_id,
    raw.payload ->> 'name' as shop_name,
    raw.payload ->> 'myshopifyDomain' as domain,
    raw.payload ->> 'currencyCode' as currency,
    raw.payload ->> 'ianaTimezone' as timezone
from {{ source('raw_shopify', 'shop') }} as raw
where raw.deleted_at is null
