{#-
The shapes most metrics have, so that a metric's file says only what it counts. Each gives the columns every metric
has: date, dimension, dimension_value, value, numerator, denominator. The row of a whole day has dimension and
dimension_value 'all'.
-#}

{#- A sum of a daily mart's measure. Unknown (NULL) as soon as one of the amounts is. -#}
{% macro daily_sum(relation, measure, dimensions=[], where='true') -%}
    {{- config(changed_by={relation.identifier: 'date'}) -}}
    select
        daily.date,
        dimensions.dimension,
        dimensions.dimension_value,
        {{ complete_sum('daily.' ~ measure) }}::numeric as value,
        {{ complete_sum('daily.' ~ measure) }}::numeric as numerator,
        null::numeric as denominator
    from {{ relation }} as daily
    {{ by_dimension(dimensions) }}
    where {{ where }}
    group by daily.date, dimensions.dimension, dimensions.dimension_value
{%- endmacro %}

{#- One measure divided by another. NULL where there is nothing to divide by; both parts are kept, so that a longer
    period is the ratio of the sums, never a mean of ratios. -#}
{% macro daily_ratio(relation, numerator, denominator, dimensions=[], where='true') -%}
    {{- config(changed_by={relation.identifier: 'date'}) -}}
    select
        daily.date,
        dimensions.dimension,
        dimensions.dimension_value,
        round({{ complete_sum(numerator) }}::numeric / nullif({{ complete_sum(denominator) }}, 0), 8) as value,
        {{ complete_sum(numerator) }}::numeric as numerator,
        {{ complete_sum(denominator) }}::numeric as denominator
    from {{ relation }} as daily
    {{ by_dimension(dimensions) }}
    where {{ where }}
    group by daily.date, dimensions.dimension, dimensions.dimension_value
{%- endmacro %}

{#- A count of rows on the day a column names. -#}
{% macro daily_count(relation, day, dimensions=[], where='true') -%}
    {{- config(changed_by={relation.identifier: day}) -}}
    select
        daily.{{ day }} as date,
        dimensions.dimension,
        dimensions.dimension_value,
        count(*)::numeric as value,
        count(*)::numeric as numerator,
        null::numeric as denominator
    from {{ relation }} as daily
    {{ by_dimension(dimensions) }}
    where {{ where }} and daily.{{ day }} is not null
    group by daily.{{ day }}, dimensions.dimension, dimensions.dimension_value
{%- endmacro %}

{#- A measure of the stock snapshots: the picture each build kept of its own day. -#}
{% macro stock_snapshot(measure) -%}
    {{- config(changed_by={'int_stock_snapshots': 'snapshot_day'}) -}}
    select
        snapshots.snapshot_day as date,
        snapshots.dimension,
        snapshots.dimension_value,
        case
            when snapshots.denominator is null then snapshots.numerator
            else round(snapshots.numerator / nullif(snapshots.denominator, 0), 8)
        end as value,
        snapshots.numerator,
        snapshots.denominator
    from {{ ref('int_stock_snapshots') }} as snapshots
    where snapshots.measure = '{{ measure }}'
{%- endmacro %}

{#- Rows of the whole day and of each dimension. Countries are told by name. -#}
{% macro by_dimension(dimensions) -%}
    cross join lateral (
        values
        ('all', 'all')
        {%- for dimension in dimensions %},
        ('{{ dimension }}', daily.{{ {'country': 'country_name'}.get(dimension, dimension) }})
        {%- endfor %}
    ) as dimensions (dimension, dimension_value)
{%- endmacro %}

{#- Verdicts of a tie-out from best to worst, as numbers whose maximum is the worst. -#}
{% macro tie_out_rank(status) -%}
    case {{ status }} when 'matched' then 0 when 'mismatched' then 2 else 1 end
{%- endmacro %}
