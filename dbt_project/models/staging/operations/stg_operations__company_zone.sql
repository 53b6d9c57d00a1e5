{#- Apart from ops.company, whose clock moves with every build: this changes only with the zone. -#}
{{ config(unique_key='timezone') }}

select company.timezone
from {{ source('ops', 'company') }} as company
