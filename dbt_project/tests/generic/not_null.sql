{#- As dbt's own, but a constraint is believed. -#}
{% test not_null(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ where_null(model, [column_name]) }}
{% endtest %}
