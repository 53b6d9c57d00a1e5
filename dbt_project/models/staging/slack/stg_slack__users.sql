{{ config(materialized='lasting_view') }}

select
    raw.id as user_id,
    coalesce(nullif(raw.payload ->> 'real_name', ''), raw.payload ->> 'name') as user_name,
    raw.payload ->> 'tz' as timezone,
    coalesce((raw.payload ->> 'is_bot')::boolean, false) as is_bot,
    -- People of partners are guests (single or multi channel) or members of a connected workspace.
    coalesce((raw.payload ->> 'is_restricted')::boolean, false)
    or coalesce((raw.payload ->> 'is_ultra_restricted')::boolean, false)
    or coalesce((raw.payload ->> 'is_stranger')::boolean, false)
    or coalesce((raw.payload ->> 'is_foreign')::boolean, false) as is_guest,
    nullif(raw.payload -> 'profile' ->> 'title', '') as user_title
from {{ source('raw_slack', 'users') }} as raw
where raw.deleted_at is null
