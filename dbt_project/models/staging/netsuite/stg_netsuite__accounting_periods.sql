{{ config(materialized='lasting_view') }}

select
    raw.id as accounting_period_id,
    raw.payload ->> 'periodname' as period_name,
    (raw.payload ->> 'startdate')::date as start_day,
    (raw.payload ->> 'enddate')::date as end_day,
    coalesce(raw.payload ->> 'closed', 'F') = 'T' as is_closed,
    coalesce(raw.payload ->> 'isposting', 'T') = 'T' as is_posting,
    coalesce(raw.payload ->> 'isyear', 'F') = 'T' as is_year,
    coalesce(raw.payload ->> 'isquarter', 'F') = 'T' as is_quarter
from {{ source('raw_netsuite', 'accounting_periods') }} as raw
where raw.deleted_at is null
