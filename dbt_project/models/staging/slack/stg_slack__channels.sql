{{ config(materialized='lasting_view') }}

select
    raw.id as channel_id,
    raw.payload ->> 'name' as channel_name,
    coalesce((raw.payload ->> 'is_archived')::boolean, false) as is_archived
from {{ source('raw_slack', 'channels') }} as raw
where raw.deleted_at is null
