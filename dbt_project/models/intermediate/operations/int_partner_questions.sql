{{ config(
    unique_key='message_id',
    scope='thread_id',
    changed_by={'stg_slack__messages': 'thread_id'},
    indexes=[{'columns': ['message_id'], 'unique': true}, {'columns': ['thread_id']}, {'columns': ['posted_at']}],
) }}

-- Questions of partners in the channels shared with them, with the first answer of one of our people in the
-- thread. Where the workspace marks nobody as a guest, anybody but the author may answer.
with answers as materialized (
    select
        replies.channel_id,
        replies.thread_ts,
        replies.user_id,
        replies.posted_at
    from {{ ref('stg_slack__messages') }} as replies
    left join {{ ref('stg_slack__users') }} as users on replies.user_id = users.user_id
    where
        replies.is_reply
        and not replies.is_bot
        and {{ in_scope('replies.thread_id') }}
        and not coalesce(users.is_guest, false)
        and not coalesce(users.is_bot, false)
),

questions as materialized (
    select
        messages.message_id,
        messages.thread_id,
        messages.channel_id,
        channels.channel_name,
        messages.ts,
        messages.user_id,
        users.user_name,
        users.user_title,
        messages.posted_at,
        messages.message_text
    from {{ ref('stg_slack__messages') }} as messages
    inner join {{ ref('stg_slack__channels') }} as channels on messages.channel_id = channels.channel_id
    left join {{ ref('stg_slack__users') }} as users on messages.user_id = users.user_id
    where
        channels.channel_name similar to '({{ var("partner_channel_prefixes") | join("|") }})%'
        and not channels.is_archived
        and {{ in_scope('messages.thread_id') }}
        and not messages.is_reply
        and not messages.is_bot
        and not coalesce(users.is_bot, false)
        and (messages.subtype is null or messages.subtype in ('thread_broadcast', 'file_share'))
        and (
            coalesce(users.is_guest, true)
            or not exists (
                select 1 from {{ ref('stg_slack__users') }} as guests
                where guests.is_guest
            )
        )
        and exists (
            select 1 from {{ ref('question_patterns') }} as patterns
            where messages.message_text ~* patterns.pattern
        )
)

select
    questions.message_id,
    questions.thread_id,
    questions.channel_id,
    questions.channel_name,
    coalesce(
        questions.user_title,
        initcap(regexp_replace(questions.channel_name, '^({{ var("partner_channel_prefixes") | join("|") }})', ''))
    ) as partner,
    questions.user_name as author,
    questions.posted_at,
    questions.message_text,
    {{ company_day('questions.posted_at') }} as posted_day,
    min(answers.posted_at) as answered_at,
    {{ company_day('min(answers.posted_at)') }} as answered_day
from questions
left join answers
    on
        questions.channel_id = answers.channel_id
        and questions.ts = answers.thread_ts
        and questions.user_id <> answers.user_id
group by
    questions.message_id,
    questions.thread_id,
    questions.channel_id,
    questions.channel_name,
    questions.user_title,
    questions.user_name,
    questions.posted_at, questions.message_text
