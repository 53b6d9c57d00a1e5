{{ config(
    unique_key='user_id',
    scope='user_id',
    changed_by={'users': 'id'},
    indexes=[{'columns': ['user_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_app', 'users')) }}
)

select
    changed.id as user_id,
    u.role,
    u.signup_source,
    nullif(upper(trim(u.country)), '') as country,
    case
        when u.shop_customer_id ~ '^[0-9]+$' then 'gid://shopify/Customer/' || u.shop_customer_id
        else nullif(u.shop_customer_id, '')
    end as shop_customer_id,
    u.created_at,
    u.updated_at,
    u.last_seen_at,
    u.deleted_at
from changed
cross join jsonb_to_record(changed.payload) as u (
    role text,
    signup_source text,
    country text,
    shop_customer_id text,
    created_at timestamptz,
    updated_at timestamptz,
    last_seen_at timestamptz,
    deleted_at timestamptz
)
