{#- Schemas are named exactly as configured: staging, intermediate, candidate_marts, candidate_metrics. Nothing is
    prefixed, but for a build aside (`ops metric diff`), whose schemas all begin with the variable `aside`. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('aside', '') }}{{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
