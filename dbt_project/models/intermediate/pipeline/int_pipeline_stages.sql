{{ config(
    unique_key=['pipeline_id', 'stage_id'],
    indexes=[{'columns': ['pipeline_id', 'stage_id'], 'unique': true}],
) }}

-- Where each stage of the CRM's deal pipelines stands among the places the forecast knows. A closed stage is won or
-- lost by the CRM's own probability. Of a pipeline with as many open stages as the forecast has, each takes its place
-- in turn; of another one, the place whose probability is nearest to the CRM's.
with stages as (
    select
        crm.pipeline_id,
        crm.stage_id,
        crm.stage_name,
        crm.probability,
        coalesce(crm.is_closed, crm.probability in (0, 1), false) as is_closed,
        row_number() over of_kind as place,
        count(*) over (
            partition by crm.pipeline_id, coalesce(crm.is_closed, crm.probability in (0, 1), false)
        ) as stages_of_kind
    from {{ ref('stg_hubspot__pipeline_stages') }} as crm
    where crm.object_type = 'deals'
    window of_kind as (
        partition by crm.pipeline_id, coalesce(crm.is_closed, crm.probability in (0, 1), false)
        order by crm.stage_order, crm.stage_id
    )
),

latest as (
    select
        numbers.position,
        numbers.stage,
        numbers.probability
    from {{ ref('int_stage_numbers') }} as numbers
    where numbers.valid_to = 'infinity'
)

select
    stages.pipeline_id,
    stages.stage_id,
    stages.stage_name,
    stages.is_closed,
    stages.is_closed and stages.probability = 1 as is_won,
    matched.position,
    matched.stage
from stages
left join lateral (
    select
        latest.position,
        latest.stage
    from latest
    where
        case
            when stages.is_closed and stages.probability = 1 then latest.position = 8
            when stages.is_closed and stages.probability = 0 then latest.position = 9
            when stages.is_closed then false
            when stages.stages_of_kind = 7 then latest.position = stages.place
            else latest.position <= 7 and stages.probability is not null
        end
    order by abs(latest.probability - stages.probability), latest.position
    limit 1
) as matched on true
