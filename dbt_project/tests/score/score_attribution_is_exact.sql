-- Of every lead, deal and account the contributions sum to the score and their changes to its change, to the last
-- digit; the two effects sum to each change; the weights sum to 100, or to nothing where nothing was ever known; the
-- score lies within its band.
with scores as (
    select
        days.date,
        days.score,
        days.subject_id,
        days.value,
        days.value_low,
        days.value_high,
        days.unknown_components,
        coalesce(days.value, 0) - lag(coalesce(days.value, 0)) over (
            partition by days.score, days.subject_id order by days.date
        ) as value_change
    from {{ ref('fct_scores') }} as days
),

parts as (
    select
        attribution.date,
        attribution.score,
        attribution.subject_id,
        sum(attribution.contribution) as contribution,
        sum(attribution.contribution_change) as contribution_change,
        sum(attribution.attainment_effect + attribution.weight_effect) as effects,
        sum(attribution.weight) as weight
    from {{ ref('fct_score_attribution') }} as attribution
    group by attribution.date, attribution.score, attribution.subject_id
)

select
    scores.date,
    scores.score,
    scores.subject_id,
    scores.value,
    parts.contribution
from scores
left join parts
    on
        scores.date = parts.date
        and scores.score = parts.score
        and scores.subject_id = parts.subject_id
where
    coalesce(scores.value, 0) is distinct from parts.contribution
    or scores.value_change is distinct from parts.contribution_change
    or scores.value_change is distinct from parts.effects
    or parts.weight not in (0, 100)
    or scores.value < round(scores.value_low, 8) - 0.001
    or scores.value > round(scores.value_high, 8) + 0.001
