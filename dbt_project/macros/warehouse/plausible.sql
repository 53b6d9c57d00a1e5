{#- What cannot be, as a condition on a row: for moments or days that something happened on, those that are still to come,
    and amounts. Two days are left for zones and for clocks that are wrong. NULL is unknown and no fault. -#}
{% macro implausible(happened, coming, amounts, clock) -%}
    {%- set wrong = ['false'] -%}
    {%- for column in happened -%}
        {%- do wrong.append(column ~ " < '1990-01-01' or " ~ column ~ " > " ~ clock ~ " + interval '2 days'") -%}
    {%- endfor -%}
    {%- for column in coming -%}
        {%- do wrong.append(column ~ " < '1990-01-01' or " ~ column ~ " > " ~ clock ~ " + interval '20 years'") -%}
    {%- endfor -%}
    {%- for column in amounts -%}
        {%- do wrong.append('not (abs(' ~ column ~ ') < 1000000000000)') -%}
    {%- endfor -%}
    {{ return(wrong | join(' or ')) }}
{%- endmacro %}
