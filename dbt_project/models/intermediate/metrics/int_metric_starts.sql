{{ config(
    unique_key='series_id',
    scope='series_id',
    changed_by={'int_metric_observed': 'series_id'},
    indexes=[{'columns': ['series_id'], 'unique': true}],
) }}

-- The first day of each series: from it on, a day without activity is a zero.
select
    series.value as series_id,
    earliest.metric_id,
    earliest.dimension,
    earliest.dimension_value,
    earliest.date as first_day
from {{ each_in_scope(ref('int_metric_observed'), 'series_id') }} as series
cross join lateral (
    select observed.*
    from {{ ref('int_metric_observed') }} as observed
    where observed.series_id = series.value
    order by observed.date
    limit 1
) as earliest
