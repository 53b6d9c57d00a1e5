{#- As dbt's own, but a unique index is believed. -#}
{% test unique(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} is not null and {{ 'false' if has_unique_index(model, [column_name]) else 'true' }}
group by {{ column_name }}
having count(*) > 1
{% endtest %}
