{#-
The shapes most metrics have, so that a metric's file says only what it counts. Each gives the columns every metric
has: date, dimension, dimension_value, value, numerator, denominator. The row of a whole day has dimension and
dimension_value 'all'.

The table is given by name, for `changed_by`: when dbt reads the project, a ref() handed to a macro still goes by the
name of the metric that asks.
-#}

{#- A sum of a daily mart's measure. Unknown (NULL) as soon as one of the amounts is. -#}
{% macro daily_sum(table, measure, dimensions=[], where='true') -%}
    {{- config(changed_by={table: 'date'}) -}}
    select
        daily.date,
        dimensions.dimension,
        dimensions.dimension_value,
        {{ complete_sum('daily.' ~ measure) }}::numeric as value,
        {{ complete_sum('daily.' ~ measure) }}::numeric as numerator,
        null::numeric as denominator
    from {{ ref(table) }} as daily
    {{ by_dimension(dimensions) }}
    where {{ where }}
    group by daily.date, dimensions.dimension, dimensions.dimension_value
{%- endmacro %}

{#- One measure divided by another. NULL where there is nothing to divide by; both parts are kept, so that a longer
    period is the ratio of the sums, never a mean of ratios. -#}
{% macro daily_ratio(table, numerator, denominator, dimensions=[], where='true') -%}
    {{- config(changed_by={table: 'date'}) -}}
    select
        daily.date,
        dimensions.dimension,
        dimensions.dimension_value,
        round({{ complete_sum(numerator) }}::numeric / nullif({{ complete_sum(denominator) }}, 0), 8) as value,
        {{ complete_sum(numerator) }}::numeric as numerator,
        {{ complete_sum(denominator) }}::numeric as denominator
    from {{ ref(table) }} as daily
    {{ by_dimension(dimensions) }}
    where {{ where }}
    group by daily.date, dimensions.dimension, dimensions.dimension_value
{%- endmacro %}

{#- A count of rows on the day a column names. -#}
{% macro daily_count(table, day, dimensions=[], where='true') -%}
    {{- config(changed_by={table: day}) -}}
    select
        daily.{{ day }} as date,
        dimensions.dimension,
        dimensions.dimension_value,
        count(*)::numeric as value,
        count(*)::numeric as numerator,
        null::numeric as denominator
    from {{ ref(table) }} as daily
    {{ by_dimension(dimensions) }}
    where {{ where }} and daily.{{ day }} is not null
    group by daily.{{ day }}, dimensions.dimension, dimensions.dimension_value
{%- endmacro %}

{#- A measure of a table of snapshots: the picture each build kept of its own day. A ratio (`is_ratio`) has its parts
    in the table; every other measure is a number that stands for itself. -#}
{% macro daily_snapshot(table, measure, is_ratio=false) -%}
    {{- config(changed_by={table: 'snapshot_day'}) -}}
    select
        snapshots.snapshot_day as date,
        snapshots.dimension,
        snapshots.dimension_value,
        {% if is_ratio -%}
        round(snapshots.numerator / nullif(snapshots.denominator, 0), 8) as value,
        snapshots.numerator,
        snapshots.denominator
        {%- else -%}
        snapshots.numerator as value,
        snapshots.numerator,
        null::numeric as denominator
        {%- endif %}
    from {{ ref(table) }} as snapshots
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
