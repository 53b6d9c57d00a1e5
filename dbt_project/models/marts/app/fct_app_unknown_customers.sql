{{ config(
    unique_key='user_id',
    scope='shop_customer_id',
    changed_by={'int_app_users': 'shop_customer_id', 'stg_shopify__customers': 'customer_id'},
    indexes=[
        {'columns': ['user_id'], 'unique': true},
        {'columns': ['shop_customer_id']},
        {'columns': ['signup_day']},
    ],
) }}

-- Users who carry the id of a customer that the shop does not have.
select
    users.user_id,
    users.signup_day,
    users.signup_source as source,
    users.shop_customer_id
from {{ ref('int_app_users') }} as users
left join {{ ref('stg_shopify__customers') }} as customers on users.shop_customer_id = customers.customer_id
where
    {{ in_scope('users.shop_customer_id') }}
    and customers.customer_id is null
