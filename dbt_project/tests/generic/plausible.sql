{#- No row has a day before 1990 or one that cannot have come yet, nor an amount that is no number or absurd. -#}
{% test plausible(model, happened=[], coming=[], amounts=[]) %}
select checked.*
from {{ model }} as checked
cross join {{ source('ops', 'company') }} as companies
where {{ implausible(happened, coming, amounts, 'companies.as_of') }}
{% endtest %}
