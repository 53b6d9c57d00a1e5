{{ config(
    unique_key=['date', 'score', 'subject_id', 'component'],
    scope='subject_key',
    changed_by={'int_score_inputs': 'subject_key'},
    indexes=[
        {'columns': ['date', 'score', 'subject_id', 'component'], 'unique': true},
        {'columns': ['subject_key']},
    ],
) }}

-- As fct_business_health_attribution, for each lead, deal and account: weights of the components that stand somewhere
-- are brought to exactly 100, an unknown one stays where it stood, and every change is told by component.
with versions as (
    select
        weights.score,
        weights.version,
        min(weights.valid_from) as valid_from
    from {{ ref('score_weights') }} as weights
    group by weights.score, weights.version
),

components as (
    select distinct
        weights.score,
        weights.component
    from {{ ref('score_weights') }} as weights
),

seen as (
    select inputs.*
    from {{ ref('int_score_inputs') }} as inputs
    where {{ in_scope('inputs.subject_key') }}
),

-- Which version of the weights holds on a day: the latest that had begun.
days as (
    select
        seen.date,
        seen.score,
        seen.subject_id,
        seen.subject_key,
        max(seen.days_behind) as days_behind,
        (
            select versions.version
            from versions
            where
                versions.score = seen.score
                and versions.valid_from <= seen.date
            order by versions.valid_from desc, versions.version desc
            limit 1
        ) as version
    from seen
    group by seen.date, seen.score, seen.subject_id, seen.subject_key
),

attained as (
    select
        days.*,
        components.component,
        weights.label,
        coalesce(weights.weight, 0) as nominal_weight,
        seen.input_value,
        {{ attainment('seen.input_value', 'weights') }} as known_attainment
    from days
    inner join components on days.score = components.score
    left join {{ ref('score_weights') }} as weights
        on
            days.version = weights.version
            and days.score = weights.score
            and components.component = weights.component
    left join seen
        on
            days.date = seen.date
            and days.subject_key = seen.subject_key
            and components.component = seen.component
),

spells as (
    select
        attained.*,
        count(attained.known_attainment) over (
            partition by attained.subject_key, attained.component order by attained.date
        ) as spell
    from attained
),

-- An unknown component stands at what it last attained; before it was first known it stands nowhere.
standing as (
    select
        spells.*,
        max(spells.known_attainment) over (partition by spells.subject_key, spells.component, spells.spell)
            as attainment,
        case
            when spells.known_attainment is null
                then
                    min(spells.date) filter (where spells.known_attainment is null) over (
                        partition by spells.subject_key, spells.component, spells.spell
                    )
        end as unknown_since
    from spells
),

shares as (
    select
        standing.*,
        case
            when standing.attainment is null then 0
            else
                standing.nominal_weight * 100
                / nullif(sum(standing.nominal_weight) filter (where standing.attainment is not null) over of_day, 0)
        end as exact_weight
    from standing
    window of_day as (partition by standing.date, standing.subject_key)
),

floored as (
    select
        shares.*,
        trunc(coalesce(shares.exact_weight, 0), 4) as floor_weight,
        row_number() over (
            partition by shares.date, shares.subject_key
            order by
                coalesce(shares.exact_weight, 0) - trunc(coalesce(shares.exact_weight, 0), 4) desc,
                shares.component
        ) as remainder_rank,
        (100 - sum(trunc(coalesce(shares.exact_weight, 0), 4)) over (partition by shares.date, shares.subject_key))
        * 10000 as units_left,
        bool_or(shares.attainment is not null and shares.nominal_weight > 0) over (
            partition by shares.date, shares.subject_key
        ) as stands_somewhere
    from shares
),

weighted as (
    select
        floored.*,
        floored.floor_weight
        + case
            when floored.stands_somewhere and floored.remainder_rank <= floored.units_left then 0.0001 else 0
        end as weight
    from floored
),

changes as (
    select
        weighted.*,
        coalesce(weighted.weight * weighted.attainment, 0) as contribution,
        lag(weighted.date) over of_component as previous_date,
        lag(weighted.attainment) over of_component as previous_attainment,
        lag(weighted.weight) over of_component as previous_weight,
        lag(coalesce(weighted.weight * weighted.attainment, 0)) over of_component as previous_contribution
    from weighted
    window of_component as (partition by weighted.subject_key, weighted.component order by weighted.date)
)

select
    changes.date,
    changes.score,
    changes.subject_id,
    changes.subject_key,
    changes.component,
    changes.label,
    changes.nominal_weight,
    changes.weight,
    changes.input_value,
    changes.attainment,
    changes.previous_attainment,
    changes.contribution,
    changes.contribution - changes.previous_contribution as contribution_change,
    case
        when changes.previous_date is not null
            then changes.weight * (coalesce(changes.attainment, 0) - coalesce(changes.previous_attainment, 0))
    end as attainment_effect,
    (changes.weight - changes.previous_weight) * coalesce(changes.previous_attainment, 0) as weight_effect,
    case
        when changes.known_attainment is null and changes.nominal_weight > 0 then 'unknown'
        else 'known'
    end as status,
    case when changes.nominal_weight > 0 then changes.unknown_since end as unknown_since,
    changes.days_behind
from changes
where changes.nominal_weight > 0 or changes.contribution <> changes.previous_contribution
