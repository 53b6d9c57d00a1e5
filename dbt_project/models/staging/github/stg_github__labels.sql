{{ config(materialized='lasting_view') }}

select
    raw.id as label_id,
    raw.payload ->> 'repository' as repository,
    raw.payload ->> 'name' as label_name,
    raw.payload ->> 'color' as color,
    nullif(raw.payload ->> 'description', '') as description
from {{ source('raw_github', 'labels') }} as raw
where raw.deleted_at is null
