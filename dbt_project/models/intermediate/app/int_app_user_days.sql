{{ config(
    unique_key=['session_day', 'user_id'],
    scope='session_day',
    changed_by={'int_app_sessions': 'session_day', 'int_app_users': 'since signup_day'},
    indexes=[{'columns': ['session_day', 'user_id'], 'unique': true}],
) }}

-- Who used the app on which day. Staff do not count; a user who is not read yet does.
select
    sessions.session_day,
    sessions.user_id,
    sessions.session_day + 29 as counts_until,
    count(*) as sessions
from {{ ref('int_app_sessions') }} as sessions
left join {{ ref('int_app_users') }} as users on sessions.user_id = users.user_id
where
    coalesce(users.is_customer, true)
    and {{ in_scope('sessions.session_day') }}
group by sessions.session_day, sessions.user_id
