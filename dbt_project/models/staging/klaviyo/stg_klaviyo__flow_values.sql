{{ config(materialized='lasting_view') }}

select
    raw.id as flow_value_id,
    raw.payload ->> 'flow_id' as flow_id,
    raw.payload ->> 'flow_message_id' as flow_message_id,
    raw.payload ->> 'send_channel' as channel,
    (raw.payload ->> 'month')::date as month,
    (raw.payload -> 'statistics' ->> 'recipients')::numeric::bigint as recipient_count,
    (raw.payload -> 'statistics' ->> 'delivered')::numeric::bigint as delivered_count,
    (raw.payload -> 'statistics' ->> 'bounced')::numeric::bigint as bounced_count,
    (raw.payload -> 'statistics' ->> 'opens')::numeric::bigint as open_count,
    (raw.payload -> 'statistics' ->> 'opens_unique')::numeric::bigint as opened_by_count,
    (raw.payload -> 'statistics' ->> 'clicks')::numeric::bigint as click_count,
    (raw.payload -> 'statistics' ->> 'clicks_unique')::numeric::bigint as clicked_by_count,
    (raw.payload -> 'statistics' ->> 'unsubscribe_uniques')::numeric::bigint as unsubscribed_count,
    (raw.payload -> 'statistics' ->> 'spam_complaints')::numeric::bigint as spam_complaint_count,
    (raw.payload -> 'statistics' ->> 'conversions')::numeric::bigint as conversion_count,
    (raw.payload -> 'statistics' ->> 'conversion_uniques')::numeric::bigint as converted_by_count,
    (raw.payload -> 'statistics' ->> 'conversion_value')::numeric as conversion_amount
from {{ source('raw_klaviyo', 'flow_values') }} as raw
where raw.deleted_at is null
