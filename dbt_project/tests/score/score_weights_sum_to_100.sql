-- Each version of each score's weights sums to 100, and begins on one day.
select
    weights.score,
    weights.version
from {{ ref('score_weights') }} as weights
group by weights.score, weights.version
having
    sum(weights.weight) <> 100
    or count(distinct weights.valid_from) > 1
    or bool_or(weights.good = weights.poor)
