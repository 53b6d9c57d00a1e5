{{ config(
    unique_key='session_id',
    scope='session_id',
    changed_by={'sessions': 'id'},
    indexes=[{'columns': ['session_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_app', 'sessions')) }}
)

select
    changed.id as session_id,
    s.user_id,
    s.platform,
    s.app_version,
    s.started_at,
    s.updated_at,
    s.ended_at,
    case
        when s.ended_at >= s.started_at then extract(epoch from s.ended_at - s.started_at)::numeric
    end as duration_seconds
from changed
cross join jsonb_to_record(changed.payload) as s (
    user_id text,
    platform text,
    app_version text,
    started_at timestamptz,
    updated_at timestamptz,
    ended_at timestamptz
)
