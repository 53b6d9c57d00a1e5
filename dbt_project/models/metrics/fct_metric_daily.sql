{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['metric_id', 'date', 'dimension', 'dimension_value'],
    contract={'enforced': true},
    indexes=[
        {'columns': ['metric_id', 'dimension', 'dimension_value', 'date'], 'unique': true},
        {'columns': ['date']},
    ],
    post_hook="{{ analyze_when_new() }}",
    group='coordinator',
) }}

{#- The list is written by `python -m ops_platform.warehouse.metric_union` from the files in models/metrics. -#}
{% set derived_metric_models = [
    'business_health',
] %}

-- Base metrics, and metrics derived from them. The base metrics are read through int_metric_values, which the
-- derived ones build on too.
with metric_values as (
    select
        base.metric_id,
        base.date,
        base.dimension,
        base.dimension_value,
        base.value,
        base.numerator,
        base.denominator
    from {{ ref('int_metric_values') }} as base
    {% for metric_model in derived_metric_models %}
        union all
        select
            '{{ metric_model }}' as metric_id,
            {{ metric_model }}.date,
            {{ metric_model }}.dimension,
            {{ metric_model }}.dimension_value,
            {{ metric_model }}.value,
            {{ metric_model }}.numerator,
            {{ metric_model }}.denominator
        from {{ ref(metric_model) }} as {{ metric_model }}
    {% endfor %}
),

-- The worst verdict of a stream on a day. A verdict on the whole entity holds for each of its days.
stream_days as (
    select
        tie_outs.vendor || '.' || tie_outs.stream as source,
        tie_outs.day,
        max({{ tie_out_rank('tie_outs.status') }}) as rank
    from {{ source('ops', 'tie_outs') }} as tie_outs
    group by tie_outs.vendor, tie_outs.stream, tie_outs.day
),

-- A day with nothing on either side has no verdict of its own: between the first and the last day that was
-- compared, it is matched.
stream_spans as (
    select
        stream_days.source,
        min(stream_days.day) as first_day,
        max(stream_days.day) as last_day
    from stream_days
    where stream_days.day > '0001-01-01'
    group by stream_days.source
),

-- The day of the clock is not closed and never tied out: a level of that day rests on the last day that was.
stream_latest as (
    select distinct on (stream_days.source)
        stream_days.source,
        stream_days.rank
    from stream_days
    where stream_days.day > '0001-01-01'
    order by stream_days.source asc, stream_days.day desc
),

metric_days as (
    select distinct
        metric_values.metric_id,
        metric_values.date
    from metric_values
),

verdicts as (
    select
        metric_days.metric_id,
        metric_days.date,
        max(
            coalesce(
                greatest(
                    of_day.rank,
                    whole.rank,
                    case when metric_days.date >= {{ as_of_day() }} then latest.rank end,
                    case when metric_days.date between spans.first_day and spans.last_day then 0 end
                ),
                {{ tie_out_rank("'unknown'") }}
            )
        ) as rank
    from metric_days
    inner join {{ ref('dim_metric') }} as metrics on metric_days.metric_id = metrics.metric_id
    cross join unnest(metrics.sources) as needed (source)
    left join {{ ref('int_source_freshness') }} as freshness on needed.source = freshness.source
    left join stream_days as of_day on needed.source = of_day.source and metric_days.date = of_day.day
    left join stream_days as whole on needed.source = whole.source and whole.day = '0001-01-01'
    left join stream_spans as spans on needed.source = spans.source
    left join stream_latest as latest on needed.source = latest.source
    where
        needed.source = any(metrics.required_sources)
        or freshness.source is not null
    group by metric_days.metric_id, metric_days.date
)

select
    metric_values.metric_id::text as metric_id,
    metric_values.date,
    metric_values.dimension::text as dimension,
    metric_values.dimension_value::text as dimension_value,
    metric_values.value,
    metric_values.numerator,
    metric_values.denominator,
    -- Late arrivals are awaited for a limited time: older rows keep the end of theirs, so that a sync which
    -- changed nothing in them does not rewrite the whole history.
    case
        when freshness.fresh_to is not null
            then least(
                freshness.fresh_to,
                (metric_values.date + {{ var('late_arrival_days') }})::timestamp
                at time zone (select companies.company_timezone from {{ ref('int_company') }} as companies)
            )
    end as fresh_to,
    case verdicts.rank
        when {{ tie_out_rank("'matched'") }} then 'matched'
        when {{ tie_out_rank("'mismatched'") }} then 'mismatched'
        else 'unknown'
    end as tie_out
from metric_values
left join {{ ref('int_metric_freshness') }} as freshness on metric_values.metric_id = freshness.metric_id
left join verdicts on metric_values.metric_id = verdicts.metric_id and metric_values.date = verdicts.date
