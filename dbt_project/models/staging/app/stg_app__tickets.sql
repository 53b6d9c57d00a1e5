{{ config(
    indexes=[{'columns': ['ticket_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_app', 'tickets'), 'ticket_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_app', 'tickets'), 'ticket_id') }}
)

select
    unparsed.id as ticket_id,
    t.user_id,
    t.subject,
    lower(t.status) as status,
    lower(t.priority) as priority,
    t.category,
    t.created_at,
    t.updated_at,
    t.first_response_at,
    t.resolved_at,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as t (
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
