{{ config(unique_key='message_id') }}

-- Conversations in partners' channels in which the partner asked last: a thread is a conversation, and so is a message
-- that nobody replied to. A question is answered by what one of our people says after it in the same conversation,
-- or, as people do, plainly in the channel within half a day. What is neither a question nor an answer ("thanks")
-- changes nothing.
with partner_channels as (
    select
        channels.channel_id,
        channels.channel_name
    from {{ ref('stg_slack__channels') }} as channels
    where
        channels.channel_name similar to '({{ var("partner_channel_prefixes") | join("|") }})%'
        and not channels.is_archived
),

spoken as materialized (
    select
        messages.message_id,
        messages.channel_id,
        partner_channels.channel_name,
        coalesce(messages.thread_ts, messages.ts) as conversation,
        messages.is_reply,
        messages.user_id,
        users.user_name,
        users.user_title,
        messages.posted_at,
        messages.message_text,
        -- Whom we do not know is of a connected workspace, that is a partner's.
        coalesce(not users.is_guest, false) as is_ours
    from {{ ref('stg_slack__messages') }} as messages
    inner join partner_channels on messages.channel_id = partner_channels.channel_id
    left join {{ ref('stg_slack__users') }} as users on messages.user_id = users.user_id
    where
        not messages.is_bot
        and not coalesce(users.is_bot, false)
        and messages.user_id is not null
        and (messages.subtype is null or messages.subtype in ('thread_broadcast', 'file_share', 'me_message'))
        and messages.posted_at <= {{ as_of() }}
),

waiting as (
    select distinct on (asked.channel_id, asked.conversation)
        asked.*,
        asked.posted_at at time zone company.company_timezone as posted_local
    from spoken as asked
    cross join {{ ref('int_company') }} as company
    where
        not asked.is_ours
        and exists (
            select 1 from {{ ref('question_patterns') }} as patterns
            where asked.message_text ~* patterns.pattern
        )
        and not exists (
            select 1 from spoken as ours
            where
                ours.channel_id = asked.channel_id
                and ours.is_ours
                and ours.posted_at > asked.posted_at
                and (
                    ours.conversation = asked.conversation
                    or (not ours.is_reply and ours.posted_at <= asked.posted_at + interval '12 hours')
                )
        )
    order by asked.channel_id asc, asked.conversation asc, asked.posted_at desc, asked.message_id desc
)

select
    waiting.message_id,
    waiting.channel_id,
    waiting.channel_name,
    coalesce(
        waiting.user_title,
        initcap(regexp_replace(waiting.channel_name, '^({{ var("partner_channel_prefixes") | join("|") }})', ''))
    ) as partner,
    waiting.user_name as author,
    waiting.posted_at,
    waiting.posted_local::date as posted_day,
    waiting.message_text,
    waiting.is_reply,
    -- Outside the office's hours on our clock: evening, night, and the whole of Saturday and Sunday.
    extract(isodow from waiting.posted_local) in (6, 7)
    or waiting.posted_local::time < time '{{ var("office_opens") }}'
    or waiting.posted_local::time >= time '{{ var("office_closes") }}' as asked_out_of_hours,
    -- The night that ends on the clock's morning: since the close of the last working day before it.
    waiting.posted_local >= (
        {{ as_of_day() }}
        - case extract(isodow from {{ as_of_day() }}) when 1 then 3 when 7 then 2 else 1 end
        + time '{{ var("office_closes") }}'
    ) as asked_since_last_close,
    round((extract(epoch from {{ as_of() }} - waiting.posted_at) / 3600)::numeric, 2) as hours_waiting
from waiting
