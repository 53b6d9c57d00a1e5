{#- Schemas are named exactly as configured: staging, intermediate, candidate_marts, candidate_metrics. Nothing is
    prefixed; a build aside (`ops metric diff`) moves the project after it was read (`ops_platform.warehouse.aside`). -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
