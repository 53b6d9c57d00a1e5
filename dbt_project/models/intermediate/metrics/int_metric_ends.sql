{{ config(
    unique_key='series_id',
    scope='series_id',
    changed_by={'int_metric_observed': 'series_id'},
    indexes=[{'columns': ['series_id'], 'unique': true}],
) }}

-- How long each series is carried on with zeros: a value of a dimension that has been silent for over a year is not.
-- By quarters, so that a series that goes on does not change every day.
select
    series.value as series_id,
    case
        when latest.dimension = 'all' then 'infinity'::date
        else (date_trunc('quarter', latest.date::timestamp) + interval '15 months')::date
    end as carried_until
from {{ each_in_scope(ref('int_metric_observed'), 'series_id') }} as series
cross join lateral (
    select
        observed.dimension,
        observed.date
    from {{ ref('int_metric_observed') }} as observed
    where observed.series_id = series.value
    order by observed.date desc
    limit 1
) as latest
