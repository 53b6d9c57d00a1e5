{{ config(materialized='lasting_view') }}

select
    raw.id as supplier_id,
    raw.payload ->> 'entityid' as supplier_code,
    coalesce(raw.payload ->> 'companyname', raw.payload ->> 'entityid') as supplier_name,
    raw.payload ->> 'currency' as currency,
    coalesce(raw.payload ->> 'isinactive', 'F') = 'F' as is_active
from {{ source('raw_netsuite', 'vendors') }} as raw
where raw.deleted_at is null
