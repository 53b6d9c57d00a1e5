-- Public tables are published from candidates now; what dbt kept under these names before is derived and goes.
drop schema if exists marts cascade;
drop schema if exists metrics cascade;

-- The change log of the warehouse: which values changed in which table, so that a model computes only what they touch.

create table ops.row_changes (
    id bigint generated always as identity primary key,
    relation text not null,
    column_name text,
    value text
);
create index row_changes_by_relation on ops.row_changes (relation, id);
comment on table ops.row_changes is 'Values of logged columns whose rows changed; an empty column says that something changed, a NULL one that too much did to be named.';

create table ops.model_progress (
    model text not null,
    parent text not null,
    seen bigint not null,
    definition text not null,
    primary key (model, parent)
);
create index model_progress_by_parent on ops.model_progress (parent);
comment on table ops.model_progress is 'Up to which change of each parent a model was built, and under which definition.';

-- More changed values than this are not named: whoever reads them computes the whole.
create function ops.most_named_changes() returns bigint language sql immutable as 'select 20000::bigint';

create function ops.everything_changed(of_relation text) returns void language sql as $$
    insert into ops.row_changes (relation, column_name, value) values (of_relation, null, null)
$$;

-- A statement trigger: arguments are the relation's name and the logged columns. `touched` are the rows before or after.
create function ops.log_row_changes() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
declare
    position integer;
    logged text;
    parts text[];
    touched_rows bigint;
begin
    select count(*) into touched_rows from (select 1 from touched limit ops.most_named_changes() + 1) as counted;
    if touched_rows = 0 then
        return null;
    end if;
    if touched_rows > ops.most_named_changes() then
        insert into ops.row_changes (relation, column_name, value) values (tg_argv[0], null, null);
        return null;
    end if;
    insert into ops.row_changes (relation, column_name, value) values (tg_argv[0], '', '');
    for position in 1 .. tg_nargs - 1 loop
        logged := tg_argv[position];
        parts := string_to_array(logged, '..');
        if cardinality(parts) = 2 then
            execute format(
                'insert into ops.row_changes (relation, column_name, value)'
                ' select distinct %L, %L, %I::text || ''..'' || coalesce(%I::text, '''') from touched where %I is not null',
                tg_argv[0], logged, parts[1], parts[2], parts[1]
            );
        else
            execute format(
                'insert into ops.row_changes (relation, column_name, value)'
                ' select distinct %L, %L, %I::text from touched where %I is not null',
                tg_argv[0], logged, logged, logged
            );
        end if;
    end loop;
    return null;
end
$$;

create function ops.log_changes_of(target regclass, called text, columns text[]) returns void language plpgsql as $$
declare
    arguments text := (select string_agg(quote_literal(argument), ', ') from unnest(called || columns) as argument);
    wanted text := md5(arguments);
begin
    if exists (select from pg_trigger where tgrelid = target and tgname = 'log_inserted_' || wanted) then
        return;
    end if;
    perform ops.forget_logging(target);
    execute format('create trigger %I after insert on %s referencing new table as touched for each statement execute function ops.log_row_changes(%s)', 'log_inserted_' || wanted, target, arguments);
    execute format('create trigger %I after delete on %s referencing old table as touched for each statement execute function ops.log_row_changes(%s)', 'log_deleted_' || wanted, target, arguments);
    execute format('create trigger %I after update on %s referencing old table as touched for each statement execute function ops.log_row_changes(%s)', 'log_before_' || wanted, target, arguments);
    execute format('create trigger %I after update on %s referencing new table as touched for each statement execute function ops.log_row_changes(%s)', 'log_after_' || wanted, target, arguments);
    -- Whoever waits for a column that was not logged until now has missed its changes.
    perform ops.everything_changed(called);
end
$$;

create function ops.forget_logging(target regclass) returns void language plpgsql as $$
declare
    standing name;
begin
    for standing in select tgname from pg_trigger where tgrelid = target and tgname ~ '^log_(inserted|deleted|before|after)_' loop
        execute format('drop trigger %I on %s', standing, target);
    end loop;
end
$$;

-- Where the changes of a relation stand. Raw tables count in syncs, up to the first one that is still writing.
create function ops.change_stamp(of_relation text) returns bigint language plpgsql stable as $$
declare
    stamp bigint;
begin
    if of_relation like 'raw\_%' then
        if to_regclass(of_relation) is null then
            return 0;
        end if;
        execute format('select max(sync_id) from %s', to_regclass(of_relation)) into stamp;
        return coalesce(least(stamp, (
            select min(runs.id) - 1 from ops.sync_runs as runs
            where runs.status = 'running' and 'raw_' || runs.vendor || '.' || runs.stream = of_relation
        )), 0);
    end if;
    select max(changes.id) into stamp from ops.row_changes as changes where changes.relation = of_relation;
    return coalesce(stamp, 0);
end
$$;

-- The changed values of a column after one stamp, up to another; a NULL among them: too many to name. 'since x'
-- gives every day from the earliest changed x to the company's clock, 'x..y' the days of every changed span, which
-- without an end goes on to the clock.
create function ops.changed_values(of_relation text, of_column text, after bigint, until bigint)
returns table (value text) language plpgsql stable as $$
declare
    most bigint := ops.most_named_changes();
    today date := (select (company.as_of at time zone company.timezone)::date from ops.company);
    earliest date;
begin
    if of_relation like 'raw\_%' then
        if to_regclass(of_relation) is not null then
            return query execute format(
                'select case when count(*) over () <= $3 then raw.%I::text end from %s as raw'
                ' where raw.sync_id > $1 and raw.sync_id <= $2',
                of_column, to_regclass(of_relation)
            ) using after, until, most;
        end if;
        return;
    end if;
    if exists (
        select from ops.row_changes as changes
        where changes.relation = of_relation and changes.id > after and changes.id <= until and changes.column_name is null
    ) then
        return query select null::text;
    elsif of_column like 'since %' then
        select min(changes.value::date) into earliest from ops.row_changes as changes
        where
            changes.relation = of_relation and changes.id > after and changes.id <= until
            and changes.column_name = substr(of_column, 7) and changes.value <> 'infinity';
        if earliest < today - most::integer then
            return query select null::text;
        else
            return query select day::date::text from generate_series(earliest::timestamp, today::timestamp, interval '1 day') as day;
        end if;
    elsif of_column like '%..%' then
        return query
        select distinct day::date::text
        from ops.row_changes as changes
        cross join lateral generate_series(
            split_part(changes.value, '..', 1)::timestamp,
            least(coalesce(nullif(split_part(changes.value, '..', 2), '')::date, today), today)::timestamp,
            interval '1 day'
        ) as day
        where
            changes.relation = of_relation and changes.id > after and changes.id <= until
            and changes.column_name = of_column;
    else
        return query
        select distinct changes.value from ops.row_changes as changes
        where
            changes.relation = of_relation and changes.id > after and changes.id <= until
            and changes.column_name = of_column;
    end if;
end
$$;

-- Forget what every reader has seen.
create function ops.prune_row_changes() returns bigint language sql as $$
    with gone as (
        delete from ops.row_changes as changes
        where not exists (
            select from ops.model_progress as progress
            where progress.parent = changes.relation and progress.seen < changes.id
        )
        and changes.id < (select max(latest.id) from ops.row_changes as latest where latest.relation = changes.relation)
        returning 1
    )
    select count(*) from gone
$$;

-- The small tables that views of the warehouse read directly.
select ops.log_changes_of('ops.company', 'ops.company', '{}');
select ops.log_changes_of('ops.thresholds', 'ops.thresholds', '{}');
select ops.log_changes_of('ops.cursors', 'ops.cursors', '{}');
select ops.log_changes_of('ops.connections', 'ops.connections', '{}');
select ops.log_changes_of('ops.tie_outs', 'ops.tie_outs', array['day']);

create table ops.publications (
    id bigint generated always as identity primary key,
    build_id bigint references ops.warehouse_builds (id),
    published_at timestamptz not null,
    tables_changed integer not null default 0,
    rows_deleted bigint not null default 0,
    rows_inserted bigint not null default 0
);
comment on table ops.publications is 'Each time proven candidates became the public tables, all of them in one transaction.';

create table ops.published_models (
    relation text primary key,
    publish_id bigint not null references ops.publications (id),
    changed_by bigint references ops.publications (id)
);
comment on table ops.published_models is 'The publication each public table is of, and the one that last changed a row of it.';
