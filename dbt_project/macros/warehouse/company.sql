{#- The company's clock and settings. No model reads the server's clock: `as_of` is a row of ops.company. -#}

{#- The business day, in the company's zone, of a moment (timestamptz). -#}
{% macro company_day(moment) -%}
    ({{ moment }} at time zone (select company_timezone from {{ ref('int_company') }}))::date
{%- endmacro %}

{#- The sales day of a moment, in the shop's own zone. -#}
{% macro shop_day(moment) -%}
    ({{ moment }} at time zone (select shop_timezone from {{ ref('int_company') }}))::date
{%- endmacro %}

{#- The company's business day at the clock: not over yet, so no flow is counted for it. -#}
{% macro as_of_day() -%}
    (select as_of_day from {{ ref('int_clock') }})
{%- endmacro %}

{#- The clock itself (timestamptz). -#}
{% macro as_of() -%}
    (select as_of from {{ ref('int_clock') }})
{%- endmacro %}

{% macro company_currency() -%}
    (select company_currency from {{ ref('int_company') }})
{%- endmacro %}

{#- A threshold of fleet.yaml by name, with the value that holds when the fleet says nothing. -#}
{% macro threshold(name, default) -%}
    coalesce((select limits.value from {{ source('ops', 'thresholds') }} as limits where limits.name = '{{ name }}'), {{ default }})
{%- endmacro %}
