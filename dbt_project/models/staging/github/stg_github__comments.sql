{{ config(
    indexes=[{'columns': ['comment_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_github', 'comments'), 'comment_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_github', 'comments'), 'comment_id') }}
)

select
    unparsed.id as comment_id,
    c.repository,
    c.issue_number,
    c."user" ->> 'login' as author,
    coalesce(c."user" ->> 'type' = 'Bot', false) as is_by_bot,
    c.author_association,
    coalesce(c.body, '') as body,
    c.created_at,
    c.updated_at,
    c.updated_at > c.created_at as is_edited,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as c (
    repository text,
    issue_number int,
    "user" jsonb,
    author_association text,
    body text,
    created_at timestamptz,
    updated_at timestamptz
)
