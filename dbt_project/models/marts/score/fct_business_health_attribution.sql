{{ config(
    unique_key=['date', 'component'],
    indexes=[{'columns': ['date', 'component'], 'unique': true}],
) }}

-- Which version of the weights holds on a morning: the latest that had begun.
with versions as (
    select
        weights.version,
        min(weights.valid_from) as valid_from
    from {{ ref('business_health_weights') }} as weights
    group by weights.version
),

components as (
    select distinct weights.component
    from {{ ref('business_health_weights') }} as weights
),

mornings as (
    select
        inputs.date,
        (
            select versions.version
            from versions
            where versions.valid_from <= inputs.date
            order by versions.valid_from desc, versions.version desc
            limit 1
        ) as version
    from {{ ref('int_health_inputs') }} as inputs
    group by inputs.date
),

-- Every component of any version on every morning, so that one that enters or leaves is accounted for.
attained as (
    select
        mornings.date,
        components.component,
        weights.label,
        weights.metric_id,
        coalesce(weights.weight, 0) as nominal_weight,
        inputs.input_value,
        {{ attainment('inputs.input_value', 'weights') }} as known_attainment
    from mornings
    cross join components
    left join {{ ref('business_health_weights') }} as weights
        on mornings.version = weights.version and components.component = weights.component
    left join {{ ref('int_health_inputs') }} as inputs
        on mornings.date = inputs.date and components.component = inputs.component
),

-- An unknown component stands at what it last attained; before it was first known, at what it then attained.
-- One that was never known stands nowhere.
spells as (
    select
        attained.*,
        count(attained.known_attainment) over (partition by attained.component order by attained.date) as spell,
        first_value(attained.known_attainment) over (
            partition by attained.component
            order by (attained.known_attainment is null), attained.date
        ) as first_attainment
    from attained
),

standing as (
    select
        spells.*,
        coalesce(
            max(spells.known_attainment) over (partition by spells.component, spells.spell),
            spells.first_attainment
        ) as attainment,
        case
            when spells.known_attainment is null and spells.spell > 0
                then
                    min(spells.date) filter (where spells.known_attainment is null) over (
                        partition by spells.component, spells.spell
                    )
        end as unknown_since
    from spells
),

-- Weights of the components that stand somewhere, brought to exactly 100 in ten-thousandths; what rounding down
-- leaves over goes to the largest remainders.
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
    window of_day as (partition by standing.date)
),

floored as (
    select
        shares.*,
        trunc(shares.exact_weight, 4) as floor_weight,
        row_number() over (
            partition by shares.date
            order by shares.exact_weight - trunc(shares.exact_weight, 4) desc, shares.component
        ) as remainder_rank,
        (100 - sum(trunc(shares.exact_weight, 4)) over (partition by shares.date)) * 10000 as units_left
    from shares
    where shares.exact_weight is not null
),

weighted as (
    select
        floored.*,
        floored.floor_weight
        + case when floored.remainder_rank <= floored.units_left then 0.0001 else 0 end as weight
    from floored
),

changes as (
    select
        weighted.*,
        coalesce(weighted.weight * weighted.attainment, 0) as contribution,
        lag(weighted.attainment) over of_component as previous_attainment,
        lag(weighted.weight) over of_component as previous_weight,
        lag(coalesce(weighted.weight * weighted.attainment, 0)) over of_component as previous_contribution
    from weighted
    window of_component as (partition by weighted.component order by weighted.date)
),

-- The score begins on the first morning on which at least half of the nominal weight is known.
beginning as (
    select min(days.date) as first_day
    from (
        select
            changes.date,
            sum(changes.nominal_weight) filter (where changes.known_attainment is not null) as known_weight,
            sum(changes.nominal_weight) as all_weight
        from changes
        group by changes.date
    ) as days
    where days.known_weight * 2 >= days.all_weight
)

select
    changes.date,
    changes.component,
    changes.label,
    changes.metric_id,
    changes.nominal_weight,
    changes.weight,
    changes.input_value,
    changes.attainment,
    case when changes.date > beginning.first_day then changes.previous_attainment end as previous_attainment,
    changes.contribution,
    case when changes.date > beginning.first_day then changes.contribution - changes.previous_contribution end
        as contribution_change,
    case
        when changes.date > beginning.first_day
            then changes.weight * (coalesce(changes.attainment, 0) - coalesce(changes.previous_attainment, 0))
    end as attainment_effect,
    case
        when changes.date > beginning.first_day
            then (changes.weight - changes.previous_weight) * coalesce(changes.previous_attainment, 0)
    end as weight_effect,
    case
        when changes.known_attainment is null and changes.nominal_weight > 0 then 'unknown'
        else 'known'
    end as status,
    case when changes.nominal_weight > 0 then changes.unknown_since end as unknown_since
from changes
cross join beginning
where
    changes.date >= beginning.first_day
    -- A component outside the version in force is told of only on the morning it leaves.
    and (changes.nominal_weight > 0 or changes.contribution <> changes.previous_contribution)
