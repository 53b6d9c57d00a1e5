{{ config(
    unique_key=['date', 'platform'],
    scope='date',
    changed_by={'int_app_sessions': 'session_day', 'int_app_users': 'since signup_day'},
    indexes=[{'columns': ['date', 'platform'], 'unique': true}],
) }}

select
    sessions.session_day as date,
    sessions.platform,
    count(*) as sessions,
    count(sessions.duration_seconds) as ended_sessions,
    coalesce(sum(sessions.duration_seconds), 0) as duration_seconds
from {{ ref('int_app_sessions') }} as sessions
left join {{ ref('int_app_users') }} as users on sessions.user_id = users.user_id
where
    coalesce(users.is_customer, true)
    and {{ in_scope('sessions.session_day') }}
group by sessions.session_day, sessions.platform
