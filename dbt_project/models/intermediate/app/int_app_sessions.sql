{{ config(
    unique_key='session_id',
    scope='session_id',
    changed_by={'stg_app__sessions': 'session_id'},
    indexes=[{'columns': ['session_id'], 'unique': true}, {'columns': ['session_day']}],
) }}

select
    sessions.session_id,
    sessions.user_id,
    {{ company_day('sessions.started_at') }} as session_day,
    coalesce(lower(sessions.platform), 'unknown') as platform,
    sessions.duration_seconds
from {{ ref('stg_app__sessions') }} as sessions
where {{ in_scope('sessions.session_id') }}
