{{ config(materialized='lasting_view') }}

select
    raw.id as deletion_id,
    raw.payload ->> 'recordid' as record_id,
    coalesce(raw.payload ->> 'type', raw.payload ->> 'recordtypeid') as record_type,
    raw.payload ->> 'name' as record_name,
    (raw.payload ->> 'deleteddate')::timestamp as deleted_at_local
from {{ source('raw_netsuite', 'deleted_records') }} as raw
where raw.deleted_at is null
