{{ config(severity='warn') }}
-- The stage a deal or ticket stands at is the last one its history has. The two are read one after the other, so what
-- moved in between differs until the next sync.
with records as (
    select
        'deals' as object_type,
        deals.deal_id as record_id,
        deals.stage_id
    from {{ ref('stg_hubspot__deals') }} as deals
    union all
    select
        'tickets' as object_type,
        tickets.ticket_id as record_id,
        tickets.stage_id
    from {{ ref('stg_hubspot__tickets') }} as tickets
)

select
    records.object_type,
    records.record_id,
    records.stage_id,
    changes.stage_id as last_stage_id
from records
left join {{ ref('stg_hubspot__stage_changes') }} as changes
    on
        records.object_type = changes.object_type
        and records.record_id = changes.record_id
        and changes.left_at is null
where changes.stage_id is distinct from records.stage_id
