{{ config(
    indexes=[{'columns': ['event_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_github', 'events'), 'event_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_github', 'events'), 'event_id') }}
)

select
    unparsed.id as event_id,
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
    e.lock_reason,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as e (
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
