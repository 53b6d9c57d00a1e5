{{ config(changed_by={'fct_product_reviews': 'review_day'}) }}

select
    daily.review_day as date,
    dimensions.dimension,
    dimensions.dimension_value,
    round(avg(daily.rating), 8) as value,
    sum(daily.rating)::numeric as numerator,
    count(*)::numeric as denominator
from {{ ref('fct_product_reviews') }} as daily
{{ by_dimension(['market']) }}
where
    daily.rating is not null
    and daily.review_day is not null
group by daily.review_day, dimensions.dimension, dimensions.dimension_value
