{#-
Shapes of fulfilment's own metrics. What metrics of several divisions share is in daily.sql.
-#}

{#- The orders shipped on each day, made to order left out, that satisfy a condition: their number, also where it is
    zero, or (`is_ratio`) their share of all. -#}
{% macro daily_shipped(condition, is_ratio=false) -%}
    {{- config(changed_by={'fct_orders': 'ship_day'}) -}}
    {%- set those = 'count(*) filter (where ' ~ condition ~ ')::numeric' -%}
    select
        daily.ship_day as date,
        dimensions.dimension,
        dimensions.dimension_value,
        {% if is_ratio -%}
        round({{ those }} / count(*), 8) as value,
        {{ those }} as numerator,
        count(*)::numeric as denominator
        {%- else -%}
        {{ those }} as value,
        {{ those }} as numerator,
        null::numeric as denominator
        {%- endif %}
    from {{ ref('fct_orders') }} as daily
    {{ by_dimension(['channel']) }}
    where
        daily.ship_day is not null
        and not daily.is_custom
    group by daily.ship_day, dimensions.dimension, dimensions.dimension_value
{%- endmacro %}
