{#-
What a model has to compute anew. A model says of which column its rows are computed apart (`scope`: an order's id, a
day) and by which columns its parents' changes reach it (`changed_by`). Its SQL marks the places to narrow with
`in_scope`. The materialization `lasting_table` fills the marks in: with nothing when the whole model is computed,
else with the values that the change log (`ops.row_changes`) holds since this model was last built.
-#}

{#- Marks where the model is narrowed to what changed. A row without a scope value belongs to nothing and is left
    out, whether the model is computed whole or in part. -#}
{% macro in_scope(expression) -%}
    /*in_scope:*/ {{ expression }} /*:in_scope*/ is not null
{%- endmacro %}

{#- A subquery of the values to compute, as column "value": those in scope, or all that the relation has. -#}
{% macro each_in_scope(relation, column) -%}
    (/*each_in_scope:*/ select distinct {{ column }} as value from {{ relation }} where {{ column }} is not null /*:each_in_scope*/)
{%- endmacro %}

{#- A subquery of the days to compute, as column "date": those in scope, or all from the relation's first day to the
    clock's. -#}
{% macro days_in_scope(relation, first_day) -%}
    (
        select day.value::date as date
        from (
            /*each_in_scope:*/ select day.value from generate_series(
                (select min({{ first_day }})::timestamp from {{ relation }}), {{ as_of_day() }}::timestamp, interval '1 day'
            ) as day (value) /*:each_in_scope*/
        ) as day
        where day.value::date >= (select min({{ first_day }})::date from {{ relation }})
    )
{%- endmacro %}

{#- The model's SQL narrowed to the values of a SQL array. -#}
{% macro narrowed(sql, values) -%}
    {%- set sql = modules.re.sub('/\\*in_scope:\\*/ (.*?) /\\*:in_scope\\*/ is not null', '\\1 = any(' ~ values ~ ')', sql, flags=modules.re.DOTALL) -%}
    {{ return(modules.re.sub('/\\*each_in_scope:\\*/.*?/\\*:each_in_scope\\*/', 'select unnest(' ~ values ~ ') as value', sql, flags=modules.re.DOTALL)) }}
{%- endmacro %}

{#- A digest that differs with the SQL of this model and of all above it. -#}
{% macro definition_of_model(sql) -%}
    {{ return(local_md5(sql ~ definition_number())) }}
{%- endmacro %}

{#- The tables that changes come from, as {relation: columns}: the columns whose changed values are values of this
    model's scope, [] where the changes do not matter, none where they may touch anything. A view hands on what
    changes below it, by the columns its own config names. -#}
{% macro changes_that_reach(node) -%}
    {%- set own = config.get('changed_by') or {} -%}
    {%- set found = {} -%}
    {%- for direct in node.depends_on.nodes -%}
        {%- set parent = graph.nodes.get(direct) or graph.sources.get(direct) -%}
        {%- set said = {} -%}
        {%- if parent.resource_type == 'model' and parent.config.materialized != 'lasting_table' -%}
            {%- do said.update(parent.config.get('changed_by') or {}) -%}
        {%- endif -%}
        {%- do said.update(own) -%}
        {%- for base in bases_of(direct) -%}
            {%- set relation = base.schema ~ '.' ~ (base.identifier or base.alias or base.name) -%}
            {%- set wanted = said.get(base.name) -%}
            {%- if wanted is none or wanted == 'whole' or found.get(relation, []) is none -%}
                {%- do found.update({relation: none}) -%}
            {%- else -%}
                {%- do found.update({relation: (found.get(relation, []) + ([wanted] if wanted is string else wanted)) | unique | list}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- The lasting tables and sources at or below a node. Seeds are part of the definition. -#}
{% macro bases_of(unique_id) -%}
    {%- set found = [] -%}
    {%- set seen = [] -%}
    {%- set queue = [unique_id] -%}
    {%- for _ in range(10000) if queue -%}
        {%- set next_id = queue.pop() -%}
        {%- if next_id not in seen -%}
            {%- do seen.append(next_id) -%}
            {%- set node = graph.nodes.get(next_id) or graph.sources.get(next_id) -%}
            {%- if node.resource_type == 'source' or (node.resource_type == 'model' and node.config.materialized == 'lasting_table') -%}
                {%- do found.append(node) -%}
            {%- elif node.resource_type == 'model' -%}
                {%- do queue.extend(node.depends_on.nodes or []) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- The columns of a model whose changed values somebody waits for: its children, and the publisher for its scope. -#}
{% macro logged_columns(node) -%}
    {%- set columns = [] -%}
    {%- if node.config.get('scope') -%}{%- do columns.append(node.config.get('scope')) -%}{%- endif -%}
    {%- for other in graph.nodes.values() if other.resource_type == 'model' -%}
        {%- set wanted = (other.config.get('changed_by') or {}).get(node.name) or [] -%}
        {%- for column in ([wanted] if wanted is string else wanted) -%}
            {%- set name = column | replace('since ', '') -%}
            {%- if name != 'whole' and name not in columns -%}{%- do columns.append(name) -%}{%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(columns | sort) }}
{%- endmacro %}

{#- A number that changes with the SQL of the model being built and of every model and seed above it. -#}
{% macro definition_number() -%}
    {%- set seen = [] -%}
    {%- if execute and model is defined and graph is defined and graph.nodes is defined -%}
        {%- set queue = [model.unique_id] -%}
        {%- for _ in range(1000) if queue -%}
            {%- set unique_id = queue.pop() -%}
            {%- set node = graph.nodes.get(unique_id) -%}
            {%- if node and unique_id not in seen -%}
                {%- do seen.append(unique_id) -%}
                {%- do queue.extend(node.depends_on.nodes or []) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set checksums = [var('definitions_revision') | string] -%}
    {%- for unique_id in seen | sort -%}
        {%- do checksums.append(graph.nodes[unique_id].checksum.checksum) -%}
    {%- endfor -%}
    ('x{{ local_md5(checksums | join(" "))[:16] }}'::bit(64)::bigint)
{%- endmacro %}

{#- The live rows of a raw table, as far as they are to be parsed. -#}
{% macro live_rows(stream) -%}
    select
        raw.id,
        raw.payload
    from {{ stream }} as raw
    where
        raw.deleted_at is null
        and {{ in_scope('raw.id') }}
{%- endmacro %}
