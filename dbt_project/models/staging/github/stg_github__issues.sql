{{ config(
    unique_key='issue_id',
    scope='issue_id',
    changed_by={'issues': 'id'},
    indexes=[{'columns': ['issue_id'], 'unique': true}],
) }}

-- GitHub lists pull requests among the issues; the key pull_request tells them apart.
with changed as (
    {{ live_rows(source('raw_github', 'issues')) }}
)

select
    changed.id as issue_id,
    i.repository,
    i.number as issue_number,
    i.title,
    coalesce(i.body, '') as body,
    i.state,
    i.state_reason,
    i.type ->> 'name' as issue_type,
    i."user" ->> 'login' as author,
    coalesce(i."user" ->> 'type' = 'Bot', false) as is_by_bot,
    i.author_association,
    coalesce(array(select person ->> 'login' from jsonb_array_elements(i.assignees) as person), '{}') as assignees,
    coalesce(array(select label ->> 'id' from jsonb_array_elements(i.labels) as label), '{}') as label_ids,
    coalesce(array(select label ->> 'name' from jsonb_array_elements(i.labels) as label), '{}') as label_names,
    i.milestone ->> 'id' as milestone_id,
    i.parent_number,
    coalesce((i.sub_issues_summary ->> 'total')::int, 0) as sub_issue_count,
    coalesce((i.sub_issues_summary ->> 'completed')::int, 0) as sub_issues_completed,
    i.comments as comment_count,
    coalesce(i.locked, false) as is_locked,
    i.active_lock_reason as lock_reason,
    i.created_at,
    i.updated_at,
    i.closed_at,
    i.closed_by ->> 'login' as closed_by,
    i.html_url as url
from changed
cross join
    jsonb_to_record(changed.payload) as i (
        repository text,
        number int,
        title text,
        body text,
        state text,
        state_reason text,
        type jsonb,
        "user" jsonb,
        author_association text,
        assignees jsonb,
        labels jsonb,
        milestone jsonb,
        parent_number int,
        sub_issues_summary jsonb,
        comments int,
        locked boolean,
        active_lock_reason text,
        created_at timestamptz,
        updated_at timestamptz,
        closed_at timestamptz,
        closed_by jsonb,
        html_url text
    )
where not changed.payload ? 'pull_request'
