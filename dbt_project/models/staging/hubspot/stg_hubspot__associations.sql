{{ config(
    materialized='lasting_view',
    changed_by={
        'stg_hubspot__record_links': 'from_id',
        'stg_hubspot__deals': 'deal_id',
        'stg_hubspot__tickets': 'ticket_id',
    },
) }}

select
    links.association_id,
    links.from_type,
    links.from_id,
    links.to_type,
    links.to_id,
    links.is_primary
from {{ ref('stg_hubspot__record_links') }} as links
where
    case links.from_type
        when 'deals'
            then exists (
                select 1 from {{ ref('stg_hubspot__deals') }} as deals
                where deals.deal_id = links.from_id
            )
        when 'tickets'
            then exists (
                select 1 from {{ ref('stg_hubspot__tickets') }} as tickets
                where tickets.ticket_id = links.from_id
            )
    end
