{#- No two rows share all of the columns given. A unique index over them is believed, but for rows with a NULL. -#}
{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where {{ where_not_unique(model, columns) }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
