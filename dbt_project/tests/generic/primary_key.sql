{#- Present and unique: what unique and not_null say together. A unique index is believed. -#}
{% test primary_key(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ where_not_unique(model, [column_name]) }}
group by {{ column_name }}
having count(*) > 1 or {{ column_name }} is null
{% endtest %}
