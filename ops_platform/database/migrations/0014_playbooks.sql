-- Playbooks: the versions that ran, each execution with its steps, effects at vendors, experiments.

create table ops.playbook_versions (
    playbook_id text not null,
    version integer not null check (version > 0),
    content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
    name text not null,
    source text not null,
    seen_at timestamptz not null,
    primary key (playbook_id, version),
    unique (playbook_id, version, content_hash)
);
create trigger only_added before update or delete on ops.playbook_versions
    for each row execute function ops.refuse_change();
create trigger not_emptied before truncate on ops.playbook_versions
    for each statement execute function ops.refuse_change();
comment on table ops.playbook_versions is 'Every version of a playbook that was ever run, whole: only ever added to. A version has one text for ever.';

create table ops.playbook_executions (
    id bigint generated always as identity primary key,
    playbook_id text not null,
    name text not null,
    version integer not null,
    content_hash text not null,
    trigger_kind text not null check (trigger_kind in ('schedule', 'manual', 'http', 'event', 'dry_run')),
    trigger_key text not null unique check (length(trigger_key) between 1 and 255),
    as_of timestamptz not null,
    variables jsonb not null,
    experiment text,
    arm text,
    run_id text,
    state text not null default 'running' check (state in ('running', 'succeeded', 'failed')),
    started_at timestamptz not null,
    held_at timestamptz not null,
    holds integer not null default 0,
    completed_at timestamptz,
    duration_ms bigint generated always as
        ((extract(epoch from (completed_at - started_at)) * 1000)::bigint) stored,
    steps_executed integer,
    success boolean,
    error text,
    foreign key (playbook_id, version, content_hash)
        references ops.playbook_versions (playbook_id, version, content_hash),
    check ((state = 'running') = (completed_at is null)),
    check ((state = 'running') = (success is null)),
    check (success is null or success = (state = 'succeeded')),
    check (success is not true or error is null)
);
create index playbook_executions_newest on ops.playbook_executions (playbook_id, id desc);
create index playbook_executions_running on ops.playbook_executions (held_at) where state = 'running';
comment on table ops.playbook_executions is 'Each run of a playbook. trigger_key makes one of every tick and every request; holds counts the processes that took it up, the first and those after a kill.';

create table ops.playbook_steps (
    execution_id bigint not null references ops.playbook_executions (id),
    step_id text not null,
    place integer not null,
    kind text not null,
    status text not null default 'waiting' check (status in ('waiting', 'running', 'ran', 'skipped', 'failed')),
    attempts integer not null default 0,
    holder uuid,
    tokens bigint not null default 0,
    result jsonb,
    reason text,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms bigint generated always as
        ((extract(epoch from (completed_at - started_at)) * 1000)::bigint) stored,
    primary key (execution_id, step_id),
    check ((status = 'ran') = (result is not null)),
    check (status <> 'failed' or reason is not null),
    check (status <> 'skipped' or (reason is not null and attempts = 0))
);
comment on table ops.playbook_steps is 'Where each step of an execution stands. What ran, was skipped or failed stays so; a skipped step was never tried.';

create function ops.playbook_step_is_final() returns trigger language plpgsql as $$
begin
    if old.status in ('ran', 'skipped', 'failed') then
        raise exception 'step % of execution % is %: that stays', old.step_id, old.execution_id, old.status
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger final before update on ops.playbook_steps
    for each row execute function ops.playbook_step_is_final();

-- Whatever the code does: no success over a failed step, none while a step is open, and what is over stays as it is.
create function ops.playbook_execution_is_true() returns trigger language plpgsql as $$
begin
    if old.state <> 'running' then
        raise exception 'execution % is over', old.id using errcode = 'integrity_constraint_violation';
    end if;
    if new.state = 'succeeded' and exists (
        select from ops.playbook_steps as steps
        where steps.execution_id = new.id and steps.status not in ('ran', 'skipped')
    ) then
        raise exception 'execution % cannot have succeeded: a step failed or is open', new.id
            using errcode = 'integrity_constraint_violation';
    end if;
    if new.state <> 'running' and exists (
        select from ops.playbook_steps as steps
        where steps.execution_id = new.id and steps.status in ('waiting', 'running')
    ) then
        raise exception 'execution % is not over: a step is open', new.id
            using errcode = 'integrity_constraint_violation';
    end if;
    if new.state <> 'running' and new.steps_executed is distinct from (
        select count(*) from ops.playbook_steps as steps
        where steps.execution_id = new.id and steps.status in ('ran', 'failed')
    ) then
        raise exception 'execution %: steps_executed counts steps that ran or failed, no others', new.id
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger true_to_its_steps before update on ops.playbook_executions
    for each row execute function ops.playbook_execution_is_true();

create table ops.playbook_effects (
    key text primary key check (length(key) between 1 and 255),
    execution_id bigint not null references ops.playbook_executions (id),
    step_id text not null,
    name text not null,
    request jsonb not null,
    state text not null check (state in ('intended', 'done', 'not_done', 'unclear')),
    result jsonb,
    error text,
    intended_at timestamptz not null,
    settled_at timestamptz
);
create index playbook_effects_of_execution on ops.playbook_effects (execution_id);
create index playbook_effects_open on ops.playbook_effects (intended_at) where state in ('intended', 'unclear');
comment on table ops.playbook_effects is 'What playbooks do at vendors, written down before it is done: what is intended after a kill is looked up, never repeated blindly.';

create table ops.playbook_notices (
    key text primary key check (length(key) between 1 and 255),
    execution_id bigint not null references ops.playbook_executions (id),
    step_id text not null,
    playbook_id text not null,
    severity text not null check (severity in ('low', 'normal', 'high', 'critical')),
    title text not null,
    body text not null default '',
    document_id bigint,
    at timestamptz not null
);
create index playbook_notices_newest on ops.playbook_notices (at desc);
comment on table ops.playbook_notices is 'What playbooks told, once for each key: what the dashboard shows, and what keeps a matter from being told twice.';

create table ops.playbook_assignments (
    playbook_id text not null,
    experiment text not null,
    unit text not null check (length(unit) between 1 and 200),
    arm text not null,
    execution_id bigint not null references ops.playbook_executions (id),
    assigned_at timestamptz not null,
    outcome numeric,
    measured_at timestamptz,
    primary key (playbook_id, experiment, unit)
);
create index playbook_assignments_due on ops.playbook_assignments (assigned_at) where measured_at is null;
comment on table ops.playbook_assignments is 'Which variant each unit got, once and for ever, and what was measured of it afterwards. NULL is unknown.';
