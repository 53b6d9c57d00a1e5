{#- Apart from the company, for it moves with every build and what it moves is looked after by those who read it. -#}
{{ config(unique_key='as_of') }}

select
    company.as_of,
    (company.as_of at time zone company.timezone)::date as as_of_day
from {{ source('ops', 'company') }} as company
