{{ config(
    unique_key=['date', 'score', 'subject_id', 'component'],
    scope='date',
    changed_by={'int_score_inputs': 'since date'},
    indexes=[{'columns': ['date', 'score', 'subject_id', 'component'], 'unique': true}],
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

asked as (
    select distinct
        inputs.subject_key,
        inputs.date
    from {{ ref('int_score_inputs') }} as inputs
    where {{ in_scope('inputs.date') }}
),

-- The days asked for, and before each the subject's day from which its changes are told.
needed as (
    select
        asked.subject_key,
        asked.date
    from asked

    union distinct

    select
        asked.subject_key,
        (
            select max(earlier.date)
            from {{ ref('int_score_inputs') }} as earlier
            where
                earlier.subject_key = asked.subject_key
                and earlier.date < asked.date
        ) as date
    from asked
),

seen as (
    select inputs.*
    from needed
    inner join {{ ref('int_score_inputs') }} as inputs
        on
            needed.subject_key = inputs.subject_key
            and needed.date = inputs.date
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

-- An unknown component stands at what it last attained, by the weights of then; before it was first known it stands
-- nowhere.
standing as (
    select
        attained.*,
        coalesce(attained.known_attainment, last_known.attainment) as attainment,
        case
            when attained.known_attainment is null
                then (
                    select min(since.date)
                    from {{ ref('int_score_inputs') }} as since
                    where
                        since.subject_key = attained.subject_key
                        and since.date <= attained.date
                        and since.date > coalesce(last_known.date, '-infinity')
                )
        end as unknown_since
    from attained
    left join lateral (
        select
            earlier.date,
            {{ attainment('earlier.input_value', 'weights') }} as attainment
        from {{ ref('int_score_inputs') }} as earlier
        inner join {{ ref('score_weights') }} as weights
            on
                earlier.score = weights.score
                and earlier.component = weights.component
                and weights.version = (
                    select versions.version
                    from versions
                    where
                        versions.score = earlier.score
                        and versions.valid_from <= earlier.date
                    order by versions.valid_from desc, versions.version desc
                    limit 1
                )
        where
            attained.known_attainment is null
            and earlier.subject_key = attained.subject_key
            and earlier.component = attained.component
            and earlier.date < attained.date
            and earlier.input_value is not null
        order by earlier.date desc
        limit 1
    ) as last_known on true
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
where
    {{ in_scope('changes.date') }}
    and (changes.nominal_weight > 0 or changes.contribution <> changes.previous_contribution)
