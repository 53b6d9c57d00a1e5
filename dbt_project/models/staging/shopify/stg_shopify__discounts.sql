{{ config(materialized='lasting_view') }}

select
    raw.id as discount_id,
    d.discount ->> '__typename' as discount_type,
    d.discount ->> 'title' as title,
    d.discount ->> 'status' as status,
    (d.discount ->> 'startsAt')::timestamptz as starts_at,
    (d.discount ->> 'endsAt')::timestamptz as ends_at,
    (d.discount ->> 'asyncUsageCount')::bigint as usage_count,
    coalesce(
        (select array_agg(code ->> 'code') from jsonb_array_elements(d.discount -> 'codes') as code), '{}'
    ) as codes
from {{ source('raw_shopify', 'discounts') }} as raw
cross join jsonb_to_record(raw.payload) as d (discount jsonb)
where raw.deleted_at is null
