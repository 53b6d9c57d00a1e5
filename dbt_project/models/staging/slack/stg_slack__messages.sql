{{ config(
    indexes=[{'columns': ['message_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_slack', 'messages'), 'message_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_slack', 'messages'), 'message_id') }}
)

select
    unparsed.id as message_id,
    m.channel as channel_id,
    m.ts,
    -- Epoch seconds with microseconds: a double holds them exactly to the microsecond until the year 2255.
    to_timestamp(m.ts::double precision) as posted_at,
    m.thread_ts,
    coalesce(m.thread_ts <> m.ts, false) as is_reply,
    m."user" as user_id,
    m.bot_id is not null or coalesce(m.subtype = 'bot_message', false) as is_bot,
    m.subtype,
    coalesce(m.text, '') as message_text,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as m (
    channel text,
    ts text,
    thread_ts text,
    "user" text,
    bot_id text,
    subtype text,
    text text
)
