{{ config(
    unique_key='user_id',
    scope='user_id',
    changed_by={'stg_app__users': 'user_id'},
    indexes=[{'columns': ['user_id'], 'unique': true}],
) }}

select
    users.user_id,
    {{ company_day('users.created_at') }} as signup_day,
    coalesce(nullif(trim(users.signup_source), ''), 'unknown') as signup_source,
    users.shop_customer_id,
    coalesce(
        users.role = any('{ {{- var("app_customer_roles") | join(",") -}} }'::text[]), false
    ) as is_customer
from {{ ref('stg_app__users') }} as users
where {{ in_scope('users.user_id') }}
