{{ config(
    unique_key='deal_id',
    scope='deal_id',
    changed_by={
        'stg_hubspot__deals': 'deal_id',
        'stg_hubspot__record_links': 'from_id',
        'stg_hubspot__stage_entries': 'record_id',
        'stg_hubspot__tickets': [],
    },
    indexes=[{'columns': ['deal_id'], 'unique': true}],
) }}

-- Deals as the CRM holds them, with the place they stand at, their company and their days. Nothing here depends on the
-- clock. A deal is closed on the CRM's close date; where that is missing or lies after its last change (it is then the
-- date once hoped for), when it entered its last stage.
with companies as (
    select distinct on (links.from_id)
        links.from_id as deal_id,
        links.to_id as company_id
    from {{ ref('stg_hubspot__associations') }} as links
    where
        links.from_type = 'deals'
        and links.to_type = 'companies'
        and {{ in_scope('links.from_id') }}
    order by links.from_id asc, links.is_primary desc, links.to_id asc
),

last_entries as (
    select distinct on (changes.record_id)
        changes.record_id as deal_id,
        changes.entered_at
    from {{ ref('stg_hubspot__stage_changes') }} as changes
    where
        changes.object_type = 'deals'
        and {{ in_scope('changes.record_id') }}
    order by changes.record_id asc, changes.entered_at desc
),

placed as (
    select
        deals.*,
        companies.company_id,
        stages.position,
        stages.stage,
        coalesce(stages.is_closed, deals.is_closed, false) as has_closed,
        coalesce(stages.is_won, deals.is_won, false) as has_won,
        coalesce(last_entries.entered_at, deals.created_at) as stage_entered_at
    from {{ ref('stg_hubspot__deals') }} as deals
    left join companies on deals.deal_id = companies.deal_id
    left join last_entries on deals.deal_id = last_entries.deal_id
    left join {{ ref('int_pipeline_stages') }} as stages
        on
            deals.pipeline_id = stages.pipeline_id
            and deals.stage_id = stages.stage_id
    where {{ in_scope('deals.deal_id') }}
),

dated as (
    select
        placed.*,
        case
            when not placed.has_closed then null
            when placed.close_at <= placed.updated_at then placed.close_at
            else placed.stage_entered_at
        end as closed_at
    from placed
)

select
    dated.deal_id,
    dated.pipeline_id,
    dated.stage_id,
    dated.position,
    coalesce(dated.stage, 'unknown') as stage,
    dated.has_closed as is_closed,
    dated.has_won as is_won,
    dated.company_id,
    dated.owner_id,
    dated.deal_type,
    dated.amount,
    dated.currency,
    dated.erp_invoice_number,
    dated.next_step is not null as has_next_step,
    coalesce(dated.contact_count, 0) as touches,
    coalesce(dated.associated_contact_count, 0) as contacts,
    dated.created_at,
    dated.stage_entered_at,
    dated.last_contacted_at,
    greatest(dated.last_contacted_at, dated.stage_entered_at, dated.created_at) as last_active_at,
    dated.closed_at,
    {{ company_day('dated.created_at') }} as created_day,
    {{ company_day('dated.closed_at') }} as closed_day,
    case when not dated.has_closed then {{ company_day('dated.close_at') }} end as expected_close_day,
    round(extract(epoch from dated.closed_at - dated.created_at) / 86400, 6) as cycle_days
from dated
