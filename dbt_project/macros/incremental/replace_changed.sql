{#-
Incremental strategy "replace_changed": the model's SQL gives the whole relation, and only the rows that differ
from what stands are written. Rows that are no longer given are deleted. Late arrivals, edits and withdrawn rows
of any age are therefore right without a look-back window, an unchanged build writes nothing, and the table is
never dropped, so that readers, views and grants on it survive a build.
-#}
{% macro get_incremental_replace_changed_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set given = arg_dict['temp_relation'] -%}
    {%- set keys = [arg_dict['unique_key']] if arg_dict['unique_key'] is string else arg_dict['unique_key'] -%}
    {%- if not keys -%}
        {{ exceptions.raise_compiler_error("replace_changed needs a unique_key in " ~ target) }}
    {%- endif -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | list -%}
    {%- set matches = [] -%}
    {%- for key in keys -%}
        {%- do matches.append('given.' ~ adapter.quote(key) ~ ' = standing.' ~ adapter.quote(key)) -%}
    {%- endfor -%}
    {%- do run_query('analyze ' ~ given) -%}
    delete from {{ target }} as standing
    where not exists (
        select 1 from {{ given }} as given
        where {{ matches | join(' and ') }}
            and (given.{{ columns | join(', given.') }}) is not distinct from (standing.{{ columns | join(', standing.') }})
    );
    insert into {{ target }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from {{ given }} as given
    where not exists (select 1 from {{ target }} as standing where {{ matches | join(' and ') }})
{%- endmacro %}
