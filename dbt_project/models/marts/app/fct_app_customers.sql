{{ config(
    unique_key='user_id',
    scope='user_id',
    changed_by={
        'stg_app__users': 'user_id',
        'int_app_sessions': 'user_id',
        'int_app_subscriptions': 'user_id',
        'stg_app__tickets': 'user_id',
    },
    indexes=[
        {'columns': ['user_id'], 'unique': true},
        {'columns': ['shop_customer_id']},
        {'columns': ['signup_day']},
        {'columns': ['last_login_day']},
    ],
) }}

{%- set pays = "subscriptions.ended_day is null and subscriptions.status in ('active', 'past_due')" %}

-- The accounts of the app as they stand, staff among them (is_customer tells). Who deleted the account stays, marked.
with users as (
    select all_users.*
    from {{ ref('stg_app__users') }} as all_users
    where {{ in_scope('all_users.user_id') }}
),

logins as (
    select
        sessions.user_id,
        min(sessions.session_day) as first_login_day,
        max(sessions.session_day) as last_login_day,
        count(*) as sessions
    from {{ ref('int_app_sessions') }} as sessions
    where {{ in_scope('sessions.user_id') }}
    group by sessions.user_id
),

-- What is running: paying or on trial, and not cancelled.
plans as (
    select
        subscriptions.user_id,
        min(subscriptions.started_day) as first_subscription_day,
        min(subscriptions.paid_from) as first_paid_day,
        max(subscriptions.ended_day) as last_ended_day,
        count(*) filter (
            where subscriptions.ended_day is null and subscriptions.status in ('active', 'past_due', 'trialing')
        ) as subscriptions_running,
        count(*) filter (where {{ pays }}) as subscriptions_paying,
        {{ complete_sum('case when ' ~ pays ~ ' then subscriptions.mrr else 0 end') }} as mrr
    from {{ ref('int_app_subscriptions') }} as subscriptions
    where {{ in_scope('subscriptions.user_id') }}
    group by subscriptions.user_id
),

asked as (
    select
        tickets.user_id,
        count(*) filter (where tickets.resolved_at is null and tickets.status in ('open', 'pending')) as tickets_open,
        min({{ company_day('tickets.created_at') }}) filter (
            where tickets.resolved_at is null and tickets.status in ('open', 'pending')
        ) as oldest_open_ticket_day
    from {{ ref('stg_app__tickets') }} as tickets
    where
        tickets.user_id is not null
        and {{ in_scope('tickets.user_id') }}
    group by tickets.user_id
)

select
    users.user_id,
    coalesce(users.role, 'unknown') as role,
    coalesce(
        users.role = any('{ {{- var("app_customer_roles") | join(",") -}} }'::text[]), false
    ) as is_customer,
    users.deleted_at is not null as is_deleted,
    {{ company_day('users.created_at') }} as signup_day,
    coalesce(nullif(trim(users.signup_source), ''), 'unknown') as signup_source,
    users.shop_customer_id,
    logins.first_login_day,
    logins.last_login_day,
    coalesce(logins.sessions, 0) as sessions,
    plans.first_subscription_day,
    plans.first_paid_day,
    plans.last_ended_day,
    coalesce(plans.subscriptions_running, 0) as subscriptions_running,
    coalesce(plans.subscriptions_paying, 0) as subscriptions_paying,
    case when plans.user_id is null then 0 else plans.mrr end as mrr,
    {{ company_currency() }} as currency,
    coalesce(asked.tickets_open, 0) as tickets_open,
    asked.oldest_open_ticket_day
from users
left join logins on users.user_id = logins.user_id
left join plans on users.user_id = plans.user_id
left join asked on users.user_id = asked.user_id
