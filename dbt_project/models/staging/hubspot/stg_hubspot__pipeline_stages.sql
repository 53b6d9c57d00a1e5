{{ config(materialized='lasting_view') }}

select
    raw.id || ':' || stages.id as pipeline_stage_id,
    raw.payload ->> 'objectType' as object_type,
    raw.payload ->> 'id' as pipeline_id,
    raw.payload ->> 'label' as pipeline_name,
    stages.id as stage_id,
    stages.label as stage_name,
    stages."displayOrder" as stage_order,
    -- The vendor writes numbers and truth values of a stage as text.
    nullif(stages.metadata ->> 'probability', '')::numeric as probability,
    nullif(stages.metadata ->> 'isClosed', '')::boolean as is_closed
from {{ source('raw_hubspot', 'pipelines') }} as raw
cross join
    jsonb_to_recordset(raw.payload -> 'stages') as stages (
        id text,
        label text,
        "displayOrder" integer,
        metadata jsonb
    )
where raw.deleted_at is null
