{{ config(materialized='lasting_view') }}

select
    message ->> 'id' as campaign_message_id,
    raw.id as campaign_id,
    coalesce(message ->> 'channel', raw.payload ->> 'channel') as channel,
    message ->> 'label' as label,
    -- What people read first: the subject of an e-mail, the title of a push message, the text of a text message.
    coalesce(message ->> 'subject', message ->> 'title', message ->> 'body') as subject,
    message ->> 'preview_text' as preview_text,
    message ->> 'from_label' as sender
from {{ source('raw_klaviyo', 'campaigns') }} as raw
cross join jsonb_array_elements(raw.payload -> 'messages') as message
where raw.deleted_at is null
