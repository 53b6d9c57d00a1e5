{{ config(
    unique_key='user_id',
    scope='user_id',
    changed_by={'int_app_users': 'user_id', 'int_app_mrr_changes': 'user_id'},
    indexes=[
        {'columns': ['user_id'], 'unique': true},
        {'columns': ['signup_day']},
        {'columns': ['matures_day']},
    ],
) }}

-- Customers who signed up, and whether they paid within the time they are given. Staff are none.
with first_paid as (
    select
        changes.user_id,
        min(changes.date) as first_paid_day
    from {{ ref('int_app_mrr_changes') }} as changes
    where {{ in_scope('changes.user_id') }}
    group by changes.user_id
)

select
    users.user_id,
    users.signup_day,
    users.signup_source,
    users.signup_day + {{ threshold('signup_conversion_days', 45) }}::int as matures_day,
    first_paid.first_paid_day,
    coalesce(
        first_paid.first_paid_day <= users.signup_day + {{ threshold('signup_conversion_days', 45) }}::int, false
    ) as is_converted
from {{ ref('int_app_users') }} as users
left join first_paid on users.user_id = first_paid.user_id
where
    users.is_customer
    and {{ in_scope('users.user_id') }}
