{{ config(
    unique_key='date',
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

select
    attribution.date,
    sum(attribution.contribution) as score,
    -- What is unknown may be anything between nothing and everything, at its nominal weight.
    sum(
        case
            when attribution.status = 'known' then attribution.nominal_weight * attribution.attainment
            else 0
        end
    ) * 100 / sum(attribution.nominal_weight) as score_low,
    sum(
        case
            when attribution.status = 'known' then attribution.nominal_weight * attribution.attainment
            else attribution.nominal_weight
        end
    ) * 100 / sum(attribution.nominal_weight) as score_high,
    round(
        sum(attribution.nominal_weight) filter (where attribution.status = 'known')
        / sum(attribution.nominal_weight),
        6
    ) as coverage,
    count(*) filter (where attribution.status = 'unknown' and attribution.nominal_weight > 0) as unknown_components
from {{ ref('fct_business_health_attribution') }} as attribution
group by attribution.date
