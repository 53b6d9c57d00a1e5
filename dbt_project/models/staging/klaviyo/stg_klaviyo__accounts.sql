{{ config(materialized='lasting_view') }}

select
    raw.id as account_id,
    raw.payload ->> 'organization_name' as account_name,
    raw.payload ->> 'timezone' as timezone,
    raw.payload ->> 'preferred_currency' as currency,
    coalesce((raw.payload ->> 'test_account')::boolean, false) as is_test
from {{ source('raw_klaviyo', 'accounts') }} as raw
where raw.deleted_at is null
