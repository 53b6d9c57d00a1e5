{{ config(
    unique_key='message_id',
    indexes=[{'columns': ['message_id'], 'unique': true}],
) }}

select
    questions.message_id,
    questions.channel_name as channel,
    questions.partner,
    questions.posted_at,
    questions.message_text as text,
    round(extract(epoch from {{ as_of() }} - questions.posted_at) / 3600, 2) as hours_waiting
from {{ ref('int_partner_questions') }} as questions
where
    questions.answered_at is null
    and questions.posted_at <= {{ as_of() }}
    and questions.posted_at
    > {{ as_of() }} - {{ threshold('factory_message_window_hours', 72) }}::double precision * interval '1 hour'
