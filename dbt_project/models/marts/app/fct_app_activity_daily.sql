{{ config(
    unique_key='date',
    scope='date',
    changed_by={'int_app_user_days': 'session_day..counts_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- How many different customers began a session on the day, and in the seven and thirty days up to it.
select
    days.date,
    count(distinct used.user_id) filter (where used.session_day = days.date) as active_users_day,
    count(distinct used.user_id) filter (where used.session_day > days.date - 7) as active_users_week,
    count(distinct used.user_id) as active_users_month
from {{ days_in_scope(ref('int_app_user_days'), 'session_day') }} as days
inner join {{ ref('int_app_user_days') }} as used
    on
        used.session_day > days.date - 30
        and days.date >= used.session_day
where days.date <= {{ as_of_day() }}
group by days.date
