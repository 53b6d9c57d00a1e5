{{ config(
    unique_key='pull_request_id',
    scope='pull_request_id',
    changed_by={'issues': 'id'},
    indexes=[{'columns': ['pull_request_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_github', 'issues')) }}
)

select
    changed.id as pull_request_id,
    p.repository,
    p.number as pull_request_number,
    p.title,
    coalesce(p.body, '') as body,
    p.state,
    coalesce(p.draft, false) as is_draft,
    (p.pull_request ->> 'merged_at')::timestamptz as merged_at,
    p."user" ->> 'login' as author,
    coalesce(p."user" ->> 'type' = 'Bot', false) as is_by_bot,
    coalesce(array(select person ->> 'login' from jsonb_array_elements(p.assignees) as person), '{}') as assignees,
    coalesce(array(select label ->> 'name' from jsonb_array_elements(p.labels) as label), '{}') as label_names,
    p.milestone ->> 'id' as milestone_id,
    p.comments as comment_count,
    p.created_at,
    p.updated_at,
    p.closed_at,
    p.html_url as url
from changed
cross join
    jsonb_to_record(changed.payload) as p (
        repository text,
        number int,
        title text,
        body text,
        state text,
        draft boolean,
        pull_request jsonb,
        "user" jsonb,
        assignees jsonb,
        labels jsonb,
        milestone jsonb,
        comments int,
        created_at timestamptz,
        updated_at timestamptz,
        closed_at timestamptz,
        html_url text
    )
where changed.payload ? 'pull_request'
