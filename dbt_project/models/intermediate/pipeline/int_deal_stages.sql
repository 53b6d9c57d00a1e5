{{ config(
    unique_key='spell_id',
    scope='deal_id',
    changed_by={
        'int_deals': 'deal_id',
        'stg_hubspot__stage_entries': 'record_id',
        'stg_hubspot__deals': 'deal_id',
        'stg_hubspot__tickets': [],
    },
    indexes=[
        {'columns': ['spell_id'], 'unique': true},
        {'columns': ['deal_id']},
        {'columns': ['entered_day']},
        {'columns': ['left_day']},
    ],
) }}

-- Each time a deal stood at a stage, with the days at whose close it stood there. A deal whose history the CRM does not
-- tell stands at its stage since it was created.
with changes as (
    select
        history.stage_change_id as spell_id,
        history.record_id as deal_id,
        history.stage_id,
        history.entered_at,
        history.left_at
    from {{ ref('stg_hubspot__stage_changes') }} as history
    where
        history.object_type = 'deals'
        and history.entered_at is not null
        and {{ in_scope('history.record_id') }}

    union all

    select
        'deal:' || deals.deal_id as spell_id,
        deals.deal_id,
        deals.stage_id,
        deals.created_at,
        null as left_at
    from {{ ref('int_deals') }} as deals
    where
        deals.created_at is not null
        and {{ in_scope('deals.deal_id') }}
        and deals.deal_id not in (
            select history.record_id
            from {{ ref('stg_hubspot__stage_changes') }} as history
            where
                history.object_type = 'deals'
                and {{ in_scope('history.record_id') }}
        )
)

select
    changes.spell_id,
    changes.deal_id,
    deals.pipeline_id,
    changes.stage_id,
    stages.position,
    coalesce(stages.stage, 'unknown') as stage,
    -- A stage the CRM no longer has: as closed as the deal is that stands there.
    coalesce(stages.is_closed, changes.left_at is null and deals.is_closed) as is_closed,
    deals.amount,
    deals.currency,
    changes.entered_at,
    changes.left_at,
    {{ company_day('changes.entered_at') }} as entered_day,
    {{ company_day('changes.left_at') }} as left_day,
    case
        when coalesce(stages.is_closed, changes.left_at is null and deals.is_closed)
            then {{ company_day('changes.entered_at') }}
        else {{ company_day('changes.left_at') }} - 1
    end as counts_until,
    round(extract(epoch from changes.left_at - changes.entered_at) / 86400, 6) as days_in_stage,
    lead(stages.position) over of_deal as next_position,
    row_number() over (
        partition by changes.deal_id, stages.position order by changes.entered_at desc, changes.spell_id desc
    ) = 1 as is_last_visit
from changes
inner join {{ ref('int_deals') }} as deals on changes.deal_id = deals.deal_id
left join {{ ref('int_pipeline_stages') }} as stages
    on
        deals.pipeline_id = stages.pipeline_id
        and changes.stage_id = stages.stage_id
window of_deal as (partition by changes.deal_id order by changes.entered_at, changes.spell_id)
