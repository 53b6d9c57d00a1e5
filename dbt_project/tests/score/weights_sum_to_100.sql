-- Each version of the weights sums to 100, and begins on one day.
select
    weights.version,
    sum(weights.weight) as weight
from {{ ref('business_health_weights') }} as weights
group by weights.version
having
    sum(weights.weight) <> 100
    or count(distinct weights.valid_from) > 1
    or bool_or(weights.good = weights.poor)
