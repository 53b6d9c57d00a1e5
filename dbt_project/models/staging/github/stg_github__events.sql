{{ config(
    unique_key='event_id',
    scope='event_id',
    changed_by={'events': 'id'},
    indexes=[{'columns': ['event_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_github', 'events')) }}
)

select
    changed.id as event_id,
    e.repository,
    (e.issue ->> 'id') as issue_id,
    (e.issue ->> 'number')::int as issue_number,
    e.event as event_type,
    e.actor ->> 'login' as actor,
    coalesce(e.actor ->> 'type' = 'Bot', false) as is_by_bot,
    e.created_at as occurred_at,
    e.label ->> 'name' as label_name,
    e.assignee ->> 'login' as assignee,
    e.milestone ->> 'title' as milestone_title,
    e.rename ->> 'from' as renamed_from,
    e.rename ->> 'to' as renamed_to,
    e.state_reason,
    e.lock_reason
from changed
cross join jsonb_to_record(changed.payload) as e (
    repository text,
    issue jsonb,
    event text,
    actor jsonb,
    created_at timestamptz,
    label jsonb,
    assignee jsonb,
    milestone jsonb,
    rename jsonb,
    state_reason text,
    lock_reason text
)
