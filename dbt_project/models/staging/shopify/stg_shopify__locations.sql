{{ config(materialized='lasting_view') }}

select
    raw.id as location_id,
    raw.payload ->> 'name' as location_name,
    (raw.payload ->> 'isActive')::boolean as is_active,
    (raw.payload ->> 'fulfillsOnlineOrders')::boolean as fulfils_online_orders,
    raw.payload -> 'address' ->> 'countryCode' as country,
    raw.payload -> 'address' ->> 'city' as city
from {{ source('raw_shopify', 'locations') }} as raw
where raw.deleted_at is null
