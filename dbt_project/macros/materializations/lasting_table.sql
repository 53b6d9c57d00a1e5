{#-
A table that is made once and then only changed: readers, views and grants on it survive every build, an unchanged
build writes nothing, and a build costs what changed.

The model's SQL gives the whole relation. On a later build it is narrowed (`in_scope`) to the scope values that the
changes of its parents touch; what it gives is laid against the standing rows of those values, and only rows that
differ are written. Without `scope`, after a change of the definition, or after a change of a parent that `changed_by`
does not name, the whole is computed and compared.

config:
  unique_key   columns that identify a row
  scope        the column by which the model is computed in parts
  changed_by   {parent: column, [columns] or []}: the parent's columns that hold values of the scope. [] says that
               the parent's changes do not matter here or are seen to by
               `recent_days`. 'since day' stands for every day
               from the changed one on, 'first..last' for the days of a span.
  recent_days  scope values for every build: this many days before the company's clock up to its day, and the days
               the clock moved over since the last build
  only_recent  true: nothing but the clock's own day is ever computed; older rows stay as they were seen
-#}
{% materialization lasting_table, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set name = this.schema ~ '.' ~ this.identifier -%}
    {%- set scope = config.get('scope') -%}
    {%- set unique_key = config.get('unique_key') -%}
    {%- if not unique_key -%}{{ exceptions.raise_compiler_error("lasting_table needs a unique_key in " ~ this) }}{%- endif -%}
    {%- set keys = [unique_key] if unique_key is string else unique_key -%}
    {%- set definition = definition_of_model(sql) -%}
    {%- set whole_sql = sql -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {#- Begins the transaction: what is read of the change log, what is written and what is remembered are one. -#}
    {%- set parents = changes_that_reach(model) -%}
    {%- call statement('standing', fetch_result=true, auto_begin=true) -%}{{ what_stands(name, parents) }}{%- endcall -%}
    {%- set standing = read_standing(load_result('standing').table, parents) -%}
    {%- set today = standing.today -%}
    {%- set stamps = standing.stamps -%}

    {%- set fresh = existing is none or not existing.is_table -%}
    {%- set anew = not fresh and should_full_refresh() and not config.get('only_recent') -%}
    {%- if fresh or anew -%}
        {%- set building = make_intermediate_relation(target_relation) if anew else target_relation -%}
        {%- if existing is not none and not existing.is_table -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
        {%- if anew -%}{%- do drop_relation_if_exists(load_relation(building)) -%}{%- endif -%}
        {%- call statement('main') -%}{{ get_create_table_as_sql(False, building, whole_sql) }}{%- endcall -%}
        {%- do create_indexes(building) -%}
        {%- do run_query('analyze ' ~ building) -%}
        {%- if anew -%}
            {%- set old = make_backup_relation(target_relation, 'table') -%}
            {%- do drop_relation_if_exists(load_relation(old)) -%}
            {%- do adapter.rename_relation(target_relation, old) -%}
            {%- do adapter.rename_relation(building, target_relation) -%}
            {%- do adapter.drop_relation(old) -%}
        {%- endif -%}
        {%- do log_changes_of(target_relation, name) -%}
        {#- A build from nothing is a change of everything. -#}
        {%- do run_query("select ops.everything_changed('" ~ name ~ "')") -%}
        {%- do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke(existing, anew)) -%}
    {%- else -%}
        {%- set plan = scope_to_build(name, scope, definition, parents, standing) -%}
        {%- if plan.nothing -%}
            {%- call noop_statement('main', 'UNCHANGED') -%}
                select 1 as unchanged
            {%- endcall -%}
        {%- else -%}
            {%- do log_changes_of(target_relation, name) -%}
            {%- set given = make_temp_relation(target_relation) -%}
            {%- if plan.whole -%}
                {%- set given_sql = whole_sql -%}
            {%- else -%}
                {%- set given_sql = narrowed(whole_sql, plan.extent) -%}
            {%- endif -%}
            {%- do run_query(get_create_table_as_sql(True, given, given_sql)) -%}
            {%- if plan.redefined -%}
                {%- do take_over_columns(target_relation, given) -%}
            {%- else -%}
                {%- do process_schema_changes('fail', given, existing) -%}
            {%- endif -%}
            {%- if standing.definition != definition -%}{%- do add_missing_indexes(target_relation) -%}{%- endif -%}
            {%- call statement('main') -%}
                {{ write_what_differs(target_relation, given, keys, none if plan.whole else scope, plan.extent) }}
            {%- endcall -%}
            {%- do run_query('drop table ' ~ given) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if not remembers_all(standing, definition) -%}
        {%- do remember_build(name, definition, stamps, today) -%}
    {%- endif -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- In one question: the clock's day, where each parent's changes stand now, and what the last build remembered. -#}
{% macro what_stands(name, parents) -%}
    select 'clock' as kind, to_char(as_of at time zone timezone, 'YYYY-MM-DD') as about, null::bigint as number, '-' as definition
    from ops.company
    {%- if parents %}
    union all
    select 'stamp', asked.relation, ops.change_stamp(asked.relation), '-'
    from (values {% for relation in parents %}('{{ relation }}'){{ ', ' if not loop.last }}{% endfor %}) as asked (relation)
    {%- endif %}
    union all
    select 'remembered', parent, seen, definition from ops.model_progress where model = '{{ name }}'
{%- endmacro %}

{#- {today, stamps: {relation: number}, remembered: {parent: number}, definition}. A stamp that is not larger than the
    remembered one says that nothing changed. -#}
{% macro read_standing(rows, parents) -%}
    {%- set standing = {'today': none, 'stamps': {}, 'remembered': {}, 'definition': none} -%}
    {%- for relation in parents -%}{%- do standing.stamps.update({relation: 0}) -%}{%- endfor -%}
    {%- for row in rows -%}
        {%- if row[0] == 'clock' -%}
            {%- do standing.update({'today': row[1]}) -%}
        {%- elif row[0] == 'stamp' -%}
            {%- do standing.stamps.update({row[1]: row[2]}) -%}
        {%- else -%}
            {%- do standing.remembered.update({row[1]: row[2]}) -%}
            {%- do standing.update({'definition': row[3]}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(standing) }}
{%- endmacro %}

{#- Whether what this build would remember is what is remembered already. -#}
{% macro remembers_all(standing, definition) -%}
    {%- set wanted = {'clock': (standing.today | replace('-', '') | int) if standing.today else 0} -%}
    {%- do wanted.update(standing.stamps) -%}
    {%- set differs = [] -%}
    {%- for parent, number in wanted.items() if standing.remembered.get(parent) != number -%}{%- do differs.append(parent) -%}{%- endfor -%}
    {{ return(not differs and standing.definition == definition) }}
{%- endmacro %}

{#- What to build: {whole}, {nothing} or {extent: a SQL array of scope values}, and whether the definition changed. -#}
{% macro scope_to_build(name, scope, definition, parents, standing) -%}
    {%- set remembered = standing.remembered -%}
    {%- set stamps = standing.stamps -%}
    {%- set today = standing.today -%}
    {%- set why = [] -%}
    {%- set sources = [] -%}
    {%- if standing.definition != definition -%}{%- do why.append('definition') -%}{%- endif -%}
    {%- for relation, columns in parents.items() -%}
        {%- if relation not in remembered -%}
            {%- do why.append(relation) -%}
        {%- elif stamps[relation] > remembered[relation] -%}
            {%- if columns is none or not scope -%}
                {%- do why.append(relation) -%}
            {%- else -%}
                {%- for column in columns -%}
                    {%- do sources.append("select * from ops.changed_values('" ~ relation ~ "', '" ~ column ~ "', " ~ remembered[relation] ~ ", " ~ stamps[relation] ~ ")") -%}
                {%- endfor -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if config.get('only_recent') -%}
        {%- set why = [] -%}
        {%- set sources = ["select '" ~ today ~ "'"] -%}
    {%- elif config.get('recent_days') is not none and today is not none -%}
        {%- do sources.append("select day::date::text from generate_series(least('" ~ today ~ "'::date - " ~ config.get('recent_days') ~ ", to_date(" ~ remembered.get('clock', 0) ~ "::text, 'YYYYMMDD'))::timestamp, '" ~ today ~ "'::timestamp, interval '1 day') as day") -%}
    {%- endif -%}
    {%- if why -%}
        {%- do log('whole ' ~ name ~ ': ' ~ why | join(', ')) -%}
        {{ return({'whole': true, 'nothing': false, 'extent': none, 'redefined': 'definition' in why}) }}
    {%- endif -%}
    {%- if not scope or not sources -%}
        {{ return({'whole': false, 'nothing': true, 'extent': none, 'redefined': false}) }}
    {%- endif -%}
    {%- set found = run_query("select value from (" ~ sources | join(' union ') ~ ") as changed (value)") -%}
    {%- set values = found.columns[0].values() | list -%}
    {%- if none in values -%}
        {%- do log('whole ' ~ name ~ ': too much changed') -%}
        {{ return({'whole': true, 'nothing': false, 'extent': none, 'redefined': false}) }}
    {%- endif -%}
    {%- if not values -%}
        {{ return({'whole': false, 'nothing': true, 'extent': none, 'redefined': false}) }}
    {%- endif -%}
    {%- set type = run_query("select format_type(atttypid, atttypmod) from pg_attribute where attrelid = to_regclass('" ~ this ~ "') and attname = '" ~ scope ~ "'").columns[0].values()[0] -%}
    {%- set quoted = [] -%}
    {%- for value in values -%}{%- do quoted.append("'" ~ value | replace("'", "''") ~ "'") -%}{%- endfor -%}
    {{ return({'whole': false, 'nothing': false, 'extent': "array[" ~ quoted | join(',') ~ "]::" ~ type ~ "[]", 'redefined': false}) }}
{%- endmacro %}

{#- A model that was written anew may have other columns: the standing table takes them over. Views below that read a
    column that is gone go with it, and are made again when their turn comes. -#}
{% macro take_over_columns(target, given) -%}
    {%- set standing = {} -%}
    {%- for column in adapter.get_columns_in_relation(target) -%}{%- do standing.update({column.name: column.data_type}) -%}{%- endfor -%}
    {%- set wanted = {} -%}
    {%- for column in adapter.get_columns_in_relation(given) -%}{%- do wanted.update({column.name: column.data_type}) -%}{%- endfor -%}
    {%- set changes = [] -%}
    {%- for name, type in standing.items() if wanted.get(name) != type -%}
        {%- do changes.append('drop column ' ~ adapter.quote(name) ~ ' cascade') -%}
    {%- endfor -%}
    {%- for name, type in wanted.items() if standing.get(name) != type -%}
        {%- do changes.append('add column ' ~ adapter.quote(name) ~ ' ' ~ type) -%}
    {%- endfor -%}
    {%- if changes -%}
        {%- do run_query('alter table ' ~ target ~ ' ' ~ changes | join(', ')) -%}
    {%- endif -%}
{%- endmacro %}

{% macro add_missing_indexes(target) -%}
    {%- set standing = [] -%}
    {%- for row in run_query("select (select string_agg(attname, ',' order by place) from unnest(indkey::smallint[]) with ordinality as part (number, place) join pg_attribute on attrelid = indrelid and attnum = number) from pg_index where indrelid = to_regclass('" ~ target ~ "')") -%}
        {%- do standing.append(row[0]) -%}
    {%- endfor -%}
    {%- for index in config.get('indexes', []) if index.columns | join(',') not in standing -%}
        {%- do run_query(get_create_index_sql(target, index)) -%}
    {%- endfor -%}
{%- endmacro %}

{#- Delete what is not given any more, insert what is new; touch nothing that is the same. -#}
{% macro write_what_differs(target, given, keys, scope, values) -%}
    {%- set columns = [] -%}
    {%- for column in adapter.get_columns_in_relation(target) -%}{%- do columns.append(column.quoted) -%}{%- endfor -%}
    {%- set matches = [] -%}
    {%- for key in keys -%}
        {%- do matches.append('given.' ~ adapter.quote(key) ~ ' = standing.' ~ adapter.quote(key)) -%}
    {%- endfor -%}
    {%- do run_query('analyze ' ~ given) -%}
    delete from {{ target }} as standing
    where {% if scope %}standing.{{ adapter.quote(scope) }} = any({{ values }}) and {% endif %}not exists (
        select 1 from {{ given }} as given
        where {{ matches | join(' and ') }}
            and (given.{{ columns | join(', given.') }}) is not distinct from (standing.{{ columns | join(', standing.') }})
    );
    insert into {{ target }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from {{ given }} as given
    where not exists (select 1 from {{ target }} as standing where {{ matches | join(' and ') }})
{%- endmacro %}

{#- Triggers that log the changed values of the columns somebody waits for. -#}
{% macro log_changes_of(relation, name) -%}
    {%- set columns = [] -%}
    {%- for column in logged_columns(model) -%}{%- do columns.append("'" ~ column ~ "'") -%}{%- endfor -%}
    {%- do run_query("select ops.log_changes_of('" ~ relation ~ "'::regclass, '" ~ name ~ "', array[" ~ columns | join(', ') ~ "]::text[])") -%}
{%- endmacro %}

{% macro remember_build(name, definition, stamps, today) -%}
    {%- set rows = [] -%}
    {%- for relation, stamp in stamps.items() -%}
        {%- do rows.append("('" ~ name ~ "', '" ~ relation ~ "', " ~ stamp ~ ", '" ~ definition ~ "')") -%}
    {%- endfor -%}
    {%- do rows.append("('" ~ name ~ "', 'clock', " ~ (today | replace('-', '') if today else 0) ~ ", '" ~ definition ~ "')") -%}
    {%- do run_query("insert into ops.model_progress (model, parent, seen, definition) values " ~ rows | join(', ')
        ~ " on conflict (model, parent) do update set seen = excluded.seen, definition = excluded.definition"
        ~ " where (model_progress.seen, model_progress.definition) is distinct from (excluded.seen, excluded.definition)") -%}
{%- endmacro %}
