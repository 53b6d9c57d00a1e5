{#- What an index or a constraint of the built table already guarantees, a test need not look for in every row. -#}

{#- Whether a unique index over exactly these columns (in any order, without a predicate) stands on the relation. -#}
{% macro has_unique_index(relation, columns) -%}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {%- set wanted = [] -%}
    {%- for column in columns -%}{%- do wanted.append(sql_text(column)) -%}{%- endfor -%}
    {%- set found = run_query(
        "select 1 from pg_index as indexes where indexes.indrelid = to_regclass(" ~ sql_text(relation) ~ ")"
        ~ " and indexes.indisunique and indexes.indisvalid and indexes.indpred is null and indexes.indexprs is null"
        ~ " and (select array_agg(attribute.attname::text order by attribute.attname::text) from pg_attribute as attribute"
        ~ " where attribute.attrelid = indexes.indrelid and attribute.attnum = any(indexes.indkey))"
        ~ " = (select array_agg(name order by name) from unnest(array[" ~ wanted | join(', ') ~ "]::text[]) as name)"
    ) -%}
    {{ return((found | length) > 0) }}
{%- endmacro %}

{#- Whether the relation forbids NULL in the column. -#}
{% macro is_never_null(relation, column) -%}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {%- set found = run_query(
        "select 1 from pg_attribute as attribute where attribute.attrelid = to_regclass(" ~ sql_text(relation) ~ ")"
        ~ " and attribute.attname = " ~ sql_text(column) ~ " and attribute.attnotnull"
    ) -%}
    {{ return((found | length) > 0) }}
{%- endmacro %}

{#- The rows among which a repeated or missing key can be: all of them, or none but those an index lets through. -#}
{% macro where_not_unique(relation, columns) -%}
    {%- if not has_unique_index(relation, columns) -%}{{ return('true') }}{%- endif -%}
    {{ return(where_null(relation, columns)) }}
{%- endmacro %}

{#- The rows in which one of the columns is NULL; none where constraints forbid it. -#}
{% macro where_null(relation, columns) -%}
    {%- set nullable = [] -%}
    {%- for column in columns if not is_never_null(relation, column) -%}
        {%- do nullable.append(column ~ ' is null') -%}
    {%- endfor -%}
    {{ return(nullable | join(' or ') or 'false') }}
{%- endmacro %}
