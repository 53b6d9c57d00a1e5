{{ config(
    materialized='lasting_view',
    changed_by={
        'stg_hubspot__stage_entries': 'record_id',
        'stg_hubspot__deals': 'deal_id',
        'stg_hubspot__tickets': 'ticket_id',
    },
) }}

select
    entries.stage_change_id,
    entries.object_type,
    entries.record_id,
    entries.stage_id,
    entries.entered_at,
    lead(entries.entered_at) over record_in_time as left_at,
    entries.change_source,
    entries.changed_by_user_id
from {{ ref('stg_hubspot__stage_entries') }} as entries
where
    case entries.object_type
        when 'deals'
            then exists (
                select 1 from {{ ref('stg_hubspot__deals') }} as deals
                where deals.deal_id = entries.record_id
            )
        when 'tickets'
            then exists (
                select 1 from {{ ref('stg_hubspot__tickets') }} as tickets
                where tickets.ticket_id = entries.record_id
            )
    end
window record_in_time as (
    partition by entries.object_type, entries.record_id
    order by entries.entered_at, entries.stage_change_id
)
