{#-
The metric tree: for each way of `made_of` in a metric's YAML, the days on which the metric is not what its parts make.
A part that is not known, or not there by the same dimension, proves nothing and is passed over. Sums hold to the last
digit; products and quotients to the rounding of the published quotients.
-#}
{% macro metrics_unlike_their_parts() -%}
    {%- set ways = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | sort(attribute='name') -%}
            {%- for way in (node.config.get('meta', {}).get('metric') or {}).get('made_of') or [] -%}
                {%- do ways.append(one_way(node.name, way)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(ways) }}
{%- endmacro %}

{% macro one_way(metric, way) -%}
    {%- set kind = way.keys() | reject('equalto', 'times') | first -%}
    {%- set names = way[kind] -%}
    {%- set times = way.get('times', 1) -%}
    {%- set terms = [] -%}
    {%- for name in names -%}
        {%- if kind in ('sum', 'moved_by') -%}
            {%- do terms.append(('- ' if name.startswith('-') else '+ ') ~ 'part_' ~ loop.index ~ '.value') -%}
        {%- elif kind == 'ratio' and loop.index == 2 -%}
            {%- do terms.append('/ nullif(part_' ~ loop.index ~ '.value, 0)') -%}
        {%- else -%}
            {%- do terms.append('* part_' ~ loop.index ~ '.value') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set start = {'sum': '0', 'moved_by': 'eve.value'}.get(kind, times ~ '::numeric') -%}
    select
        whole.metric_id,
        '{{ kind }} {{ names | join(', ') }}' as made_of,
        whole.date,
        whole.dimension,
        whole.dimension_value,
        whole.value,
        {{ start }} {{ terms | join(' ') }} as of_its_parts
    from {{ ref('fct_metric_daily') }} as whole
    {%- if kind == 'moved_by' %}
        inner join {{ ref('fct_metric_daily') }} as eve
            on
                whole.metric_id = eve.metric_id
                and whole.date - 1 = eve.date
                and whole.dimension = eve.dimension
                and whole.dimension_value = eve.dimension_value
    {%- endif %}
    {%- for name in names %}
        inner join {{ ref('fct_metric_daily') }} as part_{{ loop.index }}
            on
                part_{{ loop.index }}.metric_id = '{{ name.lstrip('-') }}'
                and whole.date = part_{{ loop.index }}.date
                and whole.dimension = part_{{ loop.index }}.dimension
                and whole.dimension_value = part_{{ loop.index }}.dimension_value
    {%- endfor %}
    where
        whole.metric_id = '{{ metric }}'
        and abs(whole.value - ({{ start }} {{ terms | join(' ') }})) > {% if kind in ('sum', 'moved_by') -%}
            0
        {%- else -%}
            0.00000002 * greatest(
                1, {{ times }}, abs(whole.value){% for name in names %}, abs(part_{{ loop.index }}.value){% endfor %}
            )
        {%- endif %}
{%- endmacro %}
