{{ config(
    unique_key='comment_id',
    scope='comment_id',
    changed_by={'comments': 'id'},
    indexes=[{'columns': ['comment_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_github', 'comments')) }}
)

select
    changed.id as comment_id,
    c.repository,
    c.issue_number,
    c."user" ->> 'login' as author,
    coalesce(c."user" ->> 'type' = 'Bot', false) as is_by_bot,
    c.author_association,
    coalesce(c.body, '') as body,
    c.created_at,
    c.updated_at,
    c.updated_at > c.created_at as is_edited
from changed
cross join jsonb_to_record(changed.payload) as c (
    repository text,
    issue_number int,
    "user" jsonb,
    author_association text,
    body text,
    created_at timestamptz,
    updated_at timestamptz
)
