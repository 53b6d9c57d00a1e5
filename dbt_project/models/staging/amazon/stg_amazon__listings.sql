{{ config(materialized='lasting_view') }}

with listings as (
    select
        id,
        payload -> 'summaries' -> 0 as summary,
        coalesce(payload -> 'issues', '[]') as issues
    from {{ source('raw_amazon', 'listings') }}
    where deleted_at is null
)

select
    id as sku,
    summary ->> 'marketplaceId' as marketplace_id,
    summary ->> 'asin' as asin,
    summary ->> 'itemName' as title,
    summary ->> 'productType' as product_type,
    -- A listing that Amazon never took has no summary: nobody can buy it.
    coalesce(summary -> 'status' ? 'BUYABLE', false) as is_buyable,
    coalesce(summary -> 'status' ? 'DISCOVERABLE', false) as is_discoverable,
    issues @> '[{"enforcements": {"actions": [{"action": "LISTING_SUPPRESSED"}]}}]' as is_suppressed,
    jsonb_array_length(jsonb_path_query_array(issues, '$[*] ? (@.severity == "ERROR")')) as error_count,
    jsonb_array_length(jsonb_path_query_array(issues, '$[*] ? (@.severity == "WARNING")')) as warning_count,
    (summary ->> 'createdDate')::timestamptz as created_at,
    (summary ->> 'lastUpdatedDate')::timestamptz as updated_at
from listings
