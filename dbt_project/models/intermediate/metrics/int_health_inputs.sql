{{ config(unique_key=['date', 'component']) }}

-- The value of each component of business health on each morning. Flows are looked at over the complete days
-- before it, levels on the day itself. NULL where the days needed are not all known.
with weights as (
    select distinct
        all_weights.component,
        all_weights.metric_id,
        all_weights.input,
        all_weights.days
    from {{ ref('business_health_weights') }} as all_weights
),

series as (
    select
        metric_values.metric_id,
        metric_values.date,
        metric_values.value,
        sum(metric_values.numerator) over to_date as numerator_to_date,
        sum(metric_values.denominator) over to_date as denominator_to_date,
        count(metric_values.numerator) over to_date as known_to_date
    from {{ ref('int_metric_values') }} as metric_values
    where
        metric_values.dimension = 'all'
        and metric_values.metric_id in (select weights.metric_id from weights)
    window to_date as (partition by metric_values.metric_id order by metric_values.date)
),

mornings as (
    select day.date::date as date
    from (
        select min(series.date) + 1 as first_day
        from series
    ) as span
    cross join generate_series(
        span.first_day::timestamp, {{ as_of_day() }}::timestamp, interval '1 day'
    ) as day (date)
),

-- Running totals at the four edges a component may need: the end and start of its window, and of the window it
-- is compared with.
edges as (
    select
        mornings.date,
        weights.component,
        weights.metric_id,
        weights.input,
        weights.days,
        mornings.date - 1 as window_end,
        mornings.date - 1 - weights.days as before_window,
        case weights.input
            when 'growth_on_last_year' then mornings.date - 1 - 364
            when 'growth_on_last_weeks' then mornings.date - 1 - weights.days
        end as base_end,
        case weights.input
            when 'growth_on_last_year' then mornings.date - 1 - 364 - weights.days
            when 'growth_on_last_weeks' then mornings.date - 1 - weights.days - 28
        end as before_base
    from mornings
    cross join weights
),

sums as (
    select
        edges.date,
        edges.component,
        edges.metric_id,
        edges.input,
        edges.days,
        at_end.numerator_to_date - coalesce(at_start.numerator_to_date, 0) as window_numerator,
        at_end.denominator_to_date - coalesce(at_start.denominator_to_date, 0) as window_denominator,
        at_end.known_to_date - coalesce(at_start.known_to_date, 0) = edges.days as is_window_known,
        at_base_end.numerator_to_date - coalesce(at_base_start.numerator_to_date, 0) as base_numerator,
        at_base_end.known_to_date - coalesce(at_base_start.known_to_date, 0)
        = edges.base_end - edges.before_base as is_base_known,
        edges.base_end - edges.before_base as base_days,
        at_end.value as last_value,
        on_day.value as day_value
    from edges
    left join series as at_end on edges.metric_id = at_end.metric_id and edges.window_end = at_end.date
    left join series as at_start on edges.metric_id = at_start.metric_id and edges.before_window = at_start.date
    left join series as at_base_end on edges.metric_id = at_base_end.metric_id and edges.base_end = at_base_end.date
    left join series as at_base_start
        on edges.metric_id = at_base_start.metric_id and edges.before_base = at_base_start.date
    left join series as on_day on edges.metric_id = on_day.metric_id and edges.date = on_day.date
)

select
    sums.date,
    sums.component,
    round(
        case sums.input
            when 'ratio'
                then case when sums.is_window_known then sums.window_numerator / nullif(sums.window_denominator, 0) end
            when 'yesterday' then sums.last_value
            when 'today' then sums.day_value
            else
                case
                    when sums.is_window_known and sums.is_base_known and sums.base_numerator > 0
                        then (sums.window_numerator / sums.days) / (sums.base_numerator / sums.base_days)
                end
        end,
        6
    ) as input_value
from sums
