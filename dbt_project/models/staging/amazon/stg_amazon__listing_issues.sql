{{ config(materialized='lasting_view') }}

select
    raw.id || ':' || issue.position as listing_issue_id,
    raw.id as sku,
    issue.position as issue_number,
    issue.value ->> 'code' as issue_code,
    issue.value ->> 'severity' as severity,
    issue.value ->> 'message' as issue_message,
    coalesce(
        (select array_agg(category) from jsonb_array_elements_text(issue.value -> 'categories') as category), '{}'
    ) as categories,
    coalesce(
        (
            select array_agg(action ->> 'action')
            from jsonb_array_elements(issue.value -> 'enforcements' -> 'actions') as action
        ), '{}'
    ) as enforcement_actions,
    issue.value -> 'enforcements' -> 'exemption' ->> 'status' as exemption_status
from {{ source('raw_amazon', 'listings') }} as raw
cross join
    jsonb_array_elements(coalesce(raw.payload -> 'issues', '[]')) with ordinality as issue (value, position)
where raw.deleted_at is null
