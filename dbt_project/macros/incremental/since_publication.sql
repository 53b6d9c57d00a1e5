{#- For a reconciliation that holds part by part (order by order, day by day): a condition that keeps the parts in which
    something changed since the last publication. What was published passed the test, and what did not change since
    passes it still. True, so everything, before the first publication and when too much changed to be named.

    changes: [relation, column] of each public model the test reads; the column is its scope and holds the parts. -#}
{% macro since_publication(part, changes) -%}
    {%- set found = namespace(all=not execute, sources=[]) -%}
    {%- for relation, column in changes if execute -%}
        {%- set name = relation.schema ~ '.' ~ relation.identifier -%}
        {%- for seen, stamp in run_query(
            "select (select progress.seen from ops.model_progress as progress where progress.model = 'publication'"
            ~ " and progress.parent = '" ~ name ~ "'), ops.change_stamp('" ~ name ~ "')"
        ) -%}
            {%- if seen is none -%}
                {%- set found.all = true -%}
            {%- elif stamp > seen -%}
                {%- set values = "ops.changed_values('" ~ name ~ "', '" ~ column ~ "', " ~ seen ~ ", " ~ stamp ~ ") as changed (value)" -%}
                {%- set unnamed = run_query("select 1 from " ~ values ~ " where changed.value is null limit 1") -%}
                {%- if unnamed | length -%}{%- set found.all = true -%}{%- endif -%}
                {%- do found.sources.append('select changed.value from ' ~ values) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if found.all -%}
        true
    {%- elif found.sources -%}
        {{ part }} in ({{ found.sources | join(' union ') }})
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
