{#- The metrics of this project, from the YAML beside each metric's SQL, as rows of a VALUES list. -#}
{% macro metric_catalogue_rows() -%}
    {%- set rows = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | sort(attribute='name') -%}
            {%- set metric = node.config.get('meta', {}).get('metric') -%}
            {%- if metric -%}
                {%- set required = metric.get('sources') or [] -%}
                {%- set optional = metric.get('optional_sources') or [] -%}
                {%- set watch = metric.get('watch') or {} -%}
                {%- do rows.append(
                    "(" ~ [
                        sql_text(node.name),
                        sql_text(metric.label),
                        sql_text(node.description | trim),
                        sql_text(metric.unit),
                        sql_text(metric.direction),
                        sql_text(metric.aggregation),
                        sql_text(metric.kind),
                        sql_number(metric.get('target')),
                        sql_number(metric.get('minimum_effect')),
                        sql_text(metric.owner),
                        sql_text(metric.division),
                        sql_text('{' ~ (required + optional) | join(',') ~ '}') ~ '::text[]',
                        sql_text('{' ~ required | join(',') ~ '}') ~ '::text[]',
                        'true' if metric.get('in_pulse') else 'false',
                        sql_text(watch.get('persistence') or ''),
                        'true' if watch.get('judged', true) else 'false',
                        sql_number(watch.get('usual')),
                    ] | join(', ') ~ ")"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(rows) }}
{%- endmacro %}

{% macro sql_text(value) -%}
    {{ return("'" ~ (value | string | replace("'", "''")) ~ "'") }}
{%- endmacro %}

{% macro sql_number(value) -%}
    {{ return('null::numeric' if value is none else value ~ '::numeric') }}
{%- endmacro %}
