{{ config(
    unique_key='ticket_id',
    scope='ticket_id',
    changed_by={'tickets': 'id'},
    indexes=[{'columns': ['ticket_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_app', 'tickets')) }}
)

select
    changed.id as ticket_id,
    t.user_id,
    t.subject,
    lower(t.status) as status,
    lower(t.priority) as priority,
    t.category,
    t.created_at,
    t.updated_at,
    t.first_response_at,
    t.resolved_at
from changed
cross join jsonb_to_record(changed.payload) as t (
    user_id text,
    subject text,
    status text,
    priority text,
    category text,
    created_at timestamptz,
    updated_at timestamptz,
    first_response_at timestamptz,
    resolved_at timestamptz
)
