{{ config(
    materialized='lasting_table',
    unique_key=['metric_id', 'date', 'dimension', 'dimension_value'],
    scope='date',
    changed_by={
        'int_metric_values': 'date',
        'int_tie_out_days': 'day',
        'int_tie_out_latest': 'since day',
        'int_metric_freshness': 'since settled_through',
        'int_clock': [],
        'cursors': [],
    },
    recent_days=var('late_arrival_days') | int + 1,
    contract={'enforced': true},
    indexes=[
        {'columns': ['metric_id', 'dimension', 'dimension_value', 'date'], 'unique': true},
        {'columns': ['date']},
    ],
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
    where {{ in_scope('base.date') }}
    {% for metric_model in derived_metric_models if metric_model not in var('without_metrics', []) %}
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
        where {{ in_scope(metric_model ~ '.date') }}
    {% endfor %}
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
                    case when metric_days.date between whole.first_day and latest.day then 0 end
                ),
                {{ tie_out_rank("'unknown'") }}
            )
        ) as rank
    from metric_days
    inner join {{ ref('dim_metric') }} as metrics on metric_days.metric_id = metrics.metric_id
    cross join unnest(metrics.sources) as needed (source)
    left join {{ ref('int_source_freshness') }} as freshness on needed.source = freshness.source
    left join {{ ref('int_tie_out_days') }} as of_day
        on
            needed.source = of_day.source
            and metric_days.date = of_day.day
    left join {{ ref('int_tie_out_streams') }} as whole on needed.source = whole.source
    left join {{ ref('int_tie_out_latest') }} as latest on needed.source = latest.source
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
