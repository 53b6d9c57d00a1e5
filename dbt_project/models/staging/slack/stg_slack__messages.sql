{{ config(
    unique_key='message_id',
    scope='message_id',
    changed_by={'messages': 'id'},
    indexes=[{'columns': ['message_id'], 'unique': true}, {'columns': ['thread_id']}],
) }}

with changed as (
    {{ live_rows(source('raw_slack', 'messages')) }}
)

select
    changed.id as message_id,
    m.channel as channel_id,
    m.ts,
    -- Epoch seconds with microseconds: a double holds them exactly to the microsecond until the year 2255.
    to_timestamp(m.ts::double precision) as posted_at,
    m.thread_ts,
    m.channel || ' ' || coalesce(m.thread_ts, m.ts) as thread_id,
    coalesce(m.thread_ts <> m.ts, false) as is_reply,
    m."user" as user_id,
    m.bot_id is not null or coalesce(m.subtype = 'bot_message', false) as is_bot,
    m.subtype,
    coalesce(m.text, '') as message_text
from changed
cross join jsonb_to_record(changed.payload) as m (
    channel text,
    ts text,
    thread_ts text,
    "user" text,
    bot_id text,
    subtype text,
    text text
)
