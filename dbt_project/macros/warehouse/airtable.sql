{#- What people type into Airtable: days that may be kept as moments, moments that may be kept as days. -#}

{#- Not asked of ops.company, which moves with every build: each record would be parsed anew. -#}
{% macro _company_zone() -%}
    (select zone.timezone from {{ ref('stg_operations__company_zone') }} as zone)
{%- endmacro %}

{#- The day a cell means: as it is written, or the company's day of the moment that is written. -#}
{% macro cell_day(cell) -%}
    case
        when length({{ cell }}) = 10 then {{ cell }}::date
        else ({{ cell }}::timestamptz at time zone {{ _company_zone() }})::date
    end
{%- endmacro %}

{#- The moment a cell means: as it is written, or the beginning of the company's day that is written. -#}
{% macro cell_moment(cell) -%}
    case
        when length({{ cell }}) = 10 then {{ cell }}::date::timestamp at time zone {{ _company_zone() }}
        else {{ cell }}::timestamptz
    end
{%- endmacro %}

{#- Names of the attributes whose formula gave no value. -#}
{% macro failed_formulas(problems) -%}
    coalesce(
        case
            when jsonb_typeof({{ problems }}) = 'object'
                then array(select failed.key from jsonb_object_keys({{ problems }}) as failed (key) order by failed.key)
        end,
        '{}'
    )
{%- endmacro %}

{#- A list of texts; empty where there is none. -#}
{% macro cell_list(cell) -%}
    coalesce(
        case
            when jsonb_typeof({{ cell }}) = 'array'
                then array(select item.value from jsonb_array_elements_text({{ cell }}) as item (value))
        end,
        '{}'
    )
{%- endmacro %}
