{{ config(
    indexes=[{'columns': ['session_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_app', 'sessions'), 'session_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_app', 'sessions'), 'session_id') }}
)

select
    unparsed.id as session_id,
    s.user_id,
    s.platform,
    s.app_version,
    s.started_at,
    s.updated_at,
    s.ended_at,
    case
        when s.ended_at >= s.started_at then extract(epoch from s.ended_at - s.started_at)::numeric
    end as duration_seconds,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as s (
    user_id text,
    platform text,
    app_version text,
    started_at timestamptz,
    updated_at timestamptz,
    ended_at timestamptz
)
