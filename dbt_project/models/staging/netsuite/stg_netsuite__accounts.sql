{{ config(materialized='lasting_view') }}

select
    raw.id as account_id,
    raw.payload ->> 'acctnumber' as account_number,
    raw.payload ->> 'fullname' as account_name,
    raw.payload ->> 'accttype' as account_type
from {{ source('raw_netsuite', 'accounts') }} as raw
where raw.deleted_at is null
