{{ config(
    indexes=[{'columns': ['user_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_app', 'users'), 'user_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_app', 'users'), 'user_id') }}
)

select
    unparsed.id as user_id,
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
    u.deleted_at,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as u (
    role text,
    signup_source text,
    country text,
    shop_customer_id text,
    created_at timestamptz,
    updated_at timestamptz,
    last_seen_at timestamptz,
    deleted_at timestamptz
)
