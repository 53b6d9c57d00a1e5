{{ config(materialized='lasting_view') }}

select
    raw.id as campaign_id,
    raw.payload ->> 'name' as campaign_name,
    raw.payload ->> 'channel' as channel,
    raw.payload ->> 'status' as status,
    coalesce((raw.payload ->> 'archived')::boolean, false) as is_archived,
    raw.payload ->> 'send_method' as send_method,
    (raw.payload ->> 'created_at')::timestamptz as created_at,
    (raw.payload ->> 'scheduled_at')::timestamptz as scheduled_at,
    (raw.payload ->> 'send_time')::timestamptz as send_at,
    (raw.payload ->> 'updated_at')::timestamptz as updated_at,
    coalesce(raw.payload ->> 'status' = 'Sent', false) as is_sent,
    -- The audiences may be unknown; a campaign without any has an empty list.
    array(
        select audience from jsonb_array_elements_text(
            case jsonb_typeof(raw.payload -> 'audiences' -> 'included')
                when 'array' then raw.payload -> 'audiences' -> 'included'
                else '[]'
            end
        ) as audience
    ) as audience_ids
from {{ source('raw_klaviyo', 'campaigns') }} as raw
where raw.deleted_at is null
