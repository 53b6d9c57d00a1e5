{{ config(
    unique_key=['date', 'score', 'subject_id'],
    scope='date',
    changed_by={'fct_score_attribution': 'date'},
    indexes=[{'columns': ['date', 'score', 'subject_id'], 'unique': true}],
) }}

with summed as (
    select
        parts.date,
        parts.score,
        parts.subject_id,
        case when sum(parts.weight) > 0 then sum(parts.contribution) end as value,
        -- What is unknown may be anything between nothing and everything, at its nominal weight.
        sum(case when parts.status = 'known' then parts.nominal_weight * parts.attainment else 0 end)
        * 100 / sum(parts.nominal_weight) as value_low,
        sum(
            case
                when parts.status = 'known' then parts.nominal_weight * parts.attainment
                else parts.nominal_weight
            end
        ) * 100 / sum(parts.nominal_weight) as value_high,
        round(
            coalesce(sum(parts.nominal_weight) filter (where parts.status = 'known'), 0) / sum(parts.nominal_weight), 6
        ) as coverage,
        count(*) filter (where parts.status = 'unknown') as unknown_components,
        max(parts.days_behind) as days_behind
    from {{ ref('fct_score_attribution') }} as parts
    where {{ in_scope('parts.date') }}
    group by parts.date, parts.score, parts.subject_id
)

select
    summed.date,
    summed.score,
    summed.subject_id,
    summed.value,
    summed.value_low,
    summed.value_high,
    summed.coverage,
    summed.unknown_components,
    -- Falls to nothing over a week without news.
    round(summed.coverage * greatest(1 - greatest(summed.days_behind, 0)::numeric / 7, 0), 6) as confidence,
    (
        select tiers.tier
        from {{ ref('score_tiers') }} as tiers
        where
            tiers.score = summed.score
            and tiers.valid_from <= summed.date
            and tiers.from_score <= summed.value
        order by tiers.valid_from desc, tiers.from_score desc
        limit 1
    ) as tier
from summed
