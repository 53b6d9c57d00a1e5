-- The contributions sum to the score and their changes to its change, to the last digit; the two effects sum to each
-- change; the weights sum to exactly 100; and the score lies within its band.
with scores as (
    select
        days.date,
        days.score,
        days.score_low,
        days.score_high,
        days.score - lag(days.score) over (order by days.date) as score_change
    from {{ ref('fct_business_health_daily') }} as days
),

parts as (
    select
        attribution.date,
        sum(attribution.contribution) as contribution,
        sum(attribution.contribution_change) as contribution_change,
        sum(attribution.attainment_effect + attribution.weight_effect) as effects,
        sum(attribution.weight) as weight
    from {{ ref('fct_business_health_attribution') }} as attribution
    group by attribution.date
)

select
    scores.date,
    scores.score,
    scores.score_change,
    parts.contribution,
    parts.contribution_change,
    parts.weight
from scores
left join parts on scores.date = parts.date
where
    scores.score is distinct from parts.contribution
    or scores.score_change is distinct from parts.contribution_change
    or scores.score_change is distinct from parts.effects
    or parts.weight is distinct from 100
    or scores.score < round(scores.score_low, 8) - 0.001
    or scores.score > round(scores.score_high, 8) + 0.001
