-- Work orders: issues as they were seen, orders with their clock, decisions, attempts, effects on GitHub, gates, tickets.

create table ops.work_repositories (
    repository text primary key check (repository = lower(repository)),
    repository_id bigint unique,
    connected_at timestamptz,
    polled_to timestamptz,
    etag text,
    polled_at timestamptz,
    error text
);
comment on table ops.work_repositories is 'Repositories whose issues are work orders, since when, and how far each was polled. A renamed one is known by its id.';

create table ops.work_deliveries (
    delivery_id text primary key check (length(delivery_id) between 1 and 100),
    event text not null check (length(event) <= 100),
    payload bytea not null,
    payload_hash text not null,
    received_at timestamptz not null,
    state text not null default 'received' check (state in ('received', 'processed', 'ignored', 'refused')),
    attempts integer not null default 0,
    not_before timestamptz,
    repository text,
    number integer,
    outcome text,
    processed_at timestamptz,
    check ((state = 'received') = (processed_at is null))
);
create index work_deliveries_open on ops.work_deliveries (received_at, delivery_id) where state = 'received';
create index work_deliveries_done on ops.work_deliveries (processed_at) where state <> 'received';
comment on table ops.work_deliveries is 'Webhook deliveries whose signature held, kept before they are answered: once each, by GitHub''s own id.';

create table ops.work_issues (
    repository text not null check (repository = lower(repository)),
    number integer not null check (number > 0),
    issue_id bigint,
    node_id text,
    title text not null,
    body text not null,
    body_hash text not null,
    state text not null check (state in ('open', 'closed', 'deleted', 'transferred')),
    labels text[] not null,
    assignees text[] not null default '{}',
    author text not null,
    labelled jsonb not null default '{}',
    reopened jsonb,
    edited_at timestamptz,
    edited_by text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    seen_at timestamptz not null,
    look_again boolean not null default false,
    primary key (repository, number)
);
create index work_issues_look_again on ops.work_issues (repository, number) where look_again;
comment on table ops.work_issues is 'Each issue as it was last seen, with who set its labels as far as known. look_again: two things said of the same second disagree, the poll asks GitHub.';

create table ops.work_orders (
    id bigint generated always as identity primary key,
    repository text not null,
    number integer not null,
    round integer not null check (round > 0),
    issue_id bigint,
    node_id text,
    title text not null,
    body text not null,
    body_hash text not null check (body_hash ~ '^[0-9a-f]{64}$'),
    labels text[] not null,
    assignees text[] not null default '{}',
    author text not null,
    labelled_by text not null,
    labelled_at timestamptz not null,
    routed_by text not null,
    agent text not null,
    priority text not null check (priority in ('P0', 'P1', 'P2', 'P3')),
    approver text,
    phase text not null check (phase in (
        'received', 'queued', 'running', 'answered', 'done', 'blocked', 'withdrawn', 'failed'
    )),
    manager text not null default 'none' check (manager in (
        'none', 'pending', 'approved', 'needs_revision', 'escalated'
    )),
    held_reason text,
    attempt integer not null default 0 check (attempt >= 0),
    launches integer not null default 0,
    launched_until timestamptz,
    received_at timestamptz not null,
    clock_from timestamptz not null,
    calendar text not null,
    sla_minutes integer not null check (sla_minutes > 0),
    queued_at timestamptz,
    due_at timestamptz,
    paused_since timestamptz,
    not_before timestamptz,
    started_at timestamptz,
    answered_at timestamptz,
    ended_at timestamptz,
    lease_holder text,
    lease_until timestamptz,
    outcome text,
    reason text,
    failure_class text,
    revision_note text,
    document_id bigint,
    tokens bigint not null default 0,
    cost numeric not null default 0,
    updated_at timestamptz not null,
    unique (repository, number, round),
    foreign key (repository, number) references ops.work_issues (repository, number) on update cascade,
    check ((phase = 'running') = (lease_holder is not null)),
    check ((phase = 'running') = (lease_until is not null)),
    check (held_reason is null or phase <> 'queued'),
    check (phase not in ('done', 'answered') or answered_at is not null),
    check ((phase in ('done', 'withdrawn', 'failed')) = (ended_at is not null)),
    check (phase not in ('blocked', 'withdrawn', 'failed') or reason is not null),
    check (phase <> 'done' or manager in ('none', 'approved')),
    check (due_at is not null or paused_since is not null)
);
-- The queue, in its order; what is running; what waits for a person; one open round of an issue.
create index work_orders_queue on ops.work_orders (priority, due_at, id) where phase = 'queued' and paused_since is null;
create index work_orders_running on ops.work_orders (lease_until) where phase = 'running';
create index work_orders_running_by_agent on ops.work_orders (agent) where phase = 'running';
create index work_orders_due on ops.work_orders (due_at)
    where answered_at is null and phase in ('received', 'queued', 'running', 'blocked', 'failed');
create index work_orders_late on ops.work_orders (answered_at) where answered_at > due_at;
create unique index work_orders_open on ops.work_orders (repository, number)
    where phase in ('received', 'queued', 'running', 'answered', 'blocked');
create index work_orders_durations on ops.work_orders (agent, priority, answered_at) where answered_at is not null;
comment on table ops.work_orders is 'Rounds of work on issues. title, body and body_hash are what an authorised person labelled; due_at has business hours and pauses in it, and is NULL while the clock stands still.';

-- Whatever the code does: an order moves along these ways only, and what is done or withdrawn stays so.
create function ops.work_order_moves() returns trigger language plpgsql as $$
begin
    if old.phase <> new.phase and (old.phase || '>' || new.phase) not in (
        'received>queued', 'received>withdrawn',
        'queued>running', 'queued>received', 'queued>withdrawn', 'queued>blocked', 'queued>failed',
        'running>queued', 'running>answered', 'running>done', 'running>blocked', 'running>failed',
        'running>withdrawn', 'running>received',
        'answered>done', 'answered>queued', 'answered>withdrawn', 'answered>received',
        'blocked>queued', 'blocked>withdrawn', 'blocked>failed', 'blocked>received',
        'failed>queued'
    ) then
        raise exception 'work order % cannot go from % to %', old.id, old.phase, new.phase
            using errcode = 'integrity_constraint_violation';
    end if;
    if new.attempt < old.attempt or (new.attempt > old.attempt and new.phase <> 'running') then
        raise exception 'work order %: only a claim makes an attempt', old.id
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger moves before update on ops.work_orders
    for each row execute function ops.work_order_moves();

create table ops.work_attempts (
    work_id bigint not null references ops.work_orders (id),
    attempt integer not null check (attempt > 0),
    holder text not null,
    agent text not null,
    priority text not null,
    run_id text,
    started_at timestamptz not null,
    ended_at timestamptz,
    outcome text check (outcome in ('answered', 'done', 'blocked', 'retried', 'failed', 'died', 'withdrawn', 'held')),
    failure_class text,
    reason text,
    tokens bigint not null default 0,
    cost numeric not null default 0,
    primary key (work_id, attempt),
    check ((ended_at is null) = (outcome is null))
);
create index work_attempts_by_agent on ops.work_attempts (agent, priority, ended_at) where ended_at is not null;
comment on table ops.work_attempts is 'Each time an agent took an order up, and how that ended.';

create table ops.work_clock (
    id bigint generated always as identity primary key,
    work_id bigint not null references ops.work_orders (id),
    paused_at timestamptz not null,
    reason text not null check (length(reason) between 1 and 2000),
    by text not null,
    resumed_at timestamptz,
    resumed_by text,
    check ((resumed_at is null) = (resumed_by is null)),
    check (resumed_at >= paused_at)
);
create unique index work_clock_open on ops.work_clock (work_id) where resumed_at is null;
create index work_clock_of_work on ops.work_clock (work_id, paused_at);
comment on table ops.work_clock is 'When the clock of an order stood still, why, and by whom.';

create table ops.work_decisions (
    id bigint generated always as identity primary key,
    work_id bigint references ops.work_orders (id),
    repository text,
    number integer,
    decision text not null check (length(decision) between 1 and 100),
    reason text not null check (length(reason) between 1 and 4000),
    actor text not null,
    facts jsonb not null default '{}',
    key text unique,
    at timestamptz not null
);
create index work_decisions_of_work on ops.work_decisions (work_id, id);
create index work_decisions_of_issue on ops.work_decisions (repository, number, id);
create trigger only_added before update or delete on ops.work_decisions
    for each row execute function ops.refuse_change();
create trigger not_emptied before truncate on ops.work_decisions
    for each statement execute function ops.refuse_change();
comment on table ops.work_decisions is 'Every decision about an order with its reason: only ever added to. A key makes one of the same decision taken twice.';

create table ops.work_effects (
    id bigint generated always as identity primary key,
    work_id bigint not null references ops.work_orders (id),
    name text not null check (length(name) between 1 and 60),
    kind text not null check (length(kind) between 1 and 40),
    place integer not null,
    attempt integer not null,
    staged_by text not null,
    payload jsonb not null,
    marker text not null,
    cut jsonb not null default '{}',
    state text not null default 'staged' check (state in (
        'staged', 'intended', 'done', 'not_done', 'refused'
    )),
    tries integer not null default 0,
    result jsonb,
    error text,
    staged_at timestamptz not null,
    intended_at timestamptz,
    settled_at timestamptz,
    check (state <> 'refused' or error is not null)
);
create unique index work_effects_once on ops.work_effects (work_id, name) where state <> 'refused';
create index work_effects_of_work on ops.work_effects (work_id, id);
create index work_effects_open on ops.work_effects (staged_at) where state in ('staged', 'intended');
create index work_effects_refused on ops.work_effects (staged_at) where state = 'refused';
comment on table ops.work_effects is 'What an order does on GitHub: checked and written down before it is done; what is intended after a kill is looked up by its marker. What was refused is kept with its reason, without its words.';

create table ops.work_artefacts (
    id bigint generated always as identity primary key,
    work_id bigint not null references ops.work_orders (id),
    effect_id bigint not null unique references ops.work_effects (id),
    filename text not null,
    media_type text not null,
    content bytea not null,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    made_at timestamptz not null
);
create index work_artefacts_of_work on ops.work_artefacts (work_id, id);
comment on table ops.work_artefacts is 'Files that orders made, kept whole.';

create table ops.work_notices (
    key text primary key check (length(key) between 1 and 255),
    work_id bigint not null references ops.work_orders (id),
    step text not null,
    recipient text not null,
    words text not null,
    told boolean not null default true,
    forecast_at timestamptz,
    due_at timestamptz,
    at timestamptz not null
);
create index work_notices_of_work on ops.work_notices (work_id, at);
comment on table ops.work_notices is 'Reminders, breaches and escalations of an order''s clock, and oversight notices: each told once, by its key.';

create table ops.work_checks (
    id bigint generated always as identity primary key,
    repository text not null,
    sha text not null,
    gate text not null,
    name text not null,
    value numeric,
    conclusion text,
    source text not null,
    url text,
    reported_at timestamptz not null,
    seen_at timestamptz not null,
    unique (repository, sha, gate, source)
);
comment on table ops.work_checks is 'What real checks of a commit reported, for the gates. value is in percent; NULL where the check gave none.';

create table ops.work_gates (
    id bigint generated always as identity primary key,
    work_id bigint references ops.work_orders (id),
    repository text not null,
    sha text not null,
    gate text not null,
    minimum numeric not null,
    value numeric,
    passed boolean not null,
    reason text not null,
    at timestamptz not null,
    check (not passed or value >= minimum)
);
create index work_gates_of_work on ops.work_gates (work_id, id);
create index work_gates_of_commit on ops.work_gates (repository, sha, gate, id);
comment on table ops.work_gates is 'How each gate was judged. A missing check is not passed.';

create table ops.work_tickets (
    id bigint generated always as identity primary key,
    work_id bigint references ops.work_orders (id),
    key text not null unique,
    severity text not null check (severity in ('P0', 'P1', 'P2', 'P3')),
    title text not null,
    affected text not null,
    impact text not null,
    steps jsonb not null,
    assignees text[] not null,
    deadline timestamptz,
    opened_at timestamptz not null,
    resolution text,
    resolved_at timestamptz,
    check ((resolution is null) = (resolved_at is null))
);
create index work_tickets_open on ops.work_tickets (deadline) where resolved_at is null;
comment on table ops.work_tickets is 'Escalations: severity, affected, impact, the six steps, who, until when, and how it ended.';

create table ops.work_assessments (
    id bigint generated always as identity primary key,
    subject text not null check (length(subject) between 1 and 300),
    content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
    rules_hash text not null check (rules_hash ~ '^[0-9a-f]{64}$'),
    work_id bigint references ops.work_orders (id),
    action text not null check (action in ('allow', 'note', 'warn', 'hold', 'block')),
    score integer not null check (score between 0 and 100),
    assessed_at timestamptz not null,
    unique (subject, content_hash, rules_hash)
);
create index work_assessments_of_work on ops.work_assessments (work_id);
comment on table ops.work_assessments is 'What the rules of the policy said of a text, once for each text and set of rules.';

create table ops.work_violations (
    id bigint generated always as identity primary key,
    assessment_id bigint not null references ops.work_assessments (id),
    rule text not null,
    category text not null,
    severity text not null check (severity in ('low', 'medium', 'high', 'critical')),
    action text not null,
    occurrences integer not null check (occurrences > 0),
    first_at integer not null,
    mitigation text not null,
    unique (assessment_id, rule)
);
comment on table ops.work_violations is 'The rules a text broke: how often and where first, never the text itself. mitigation is what to do.';

create table ops.work_suggestions (
    id bigint generated always as identity primary key,
    key text not null unique,
    rule text not null,
    words text not null,
    facts jsonb not null,
    state text not null default 'open' check (state in ('open', 'taken', 'refused')),
    decided_by text,
    made_at timestamptz not null,
    decided_at timestamptz,
    check ((state = 'open') = (decided_at is null))
);
comment on table ops.work_suggestions is 'Changes of the policy that its own record suggests; a person takes or refuses them.';

create table ops.work_agents (
    agent text primary key,
    label text not null,
    division text not null,
    instances integer not null check (instances > 0),
    updated_at timestamptz not null
);
comment on table ops.work_agents is 'The agents of the roster with the runs each may have at once: what SQL measures utilisation by. Written from the files, never edited.';

create table ops.agent_scopes (
    role text not null,
    what text not null check (what in ('metric', 'document', 'division')),
    name text not null,
    primary key (role, what, name)
);
comment on table ops.agent_scopes is 'Which metrics and kinds of documents the role of an agent may read. Written from the role files, never edited.';

-- For the row policy on the metric table: whoever reads that table need not be able to read the scopes.
create function ops.agent_names(who name, kind text) returns text[]
language sql stable security definer set search_path = '' as $$
    select coalesce(array_agg(agent_scopes.name), '{}') from ops.agent_scopes
    where agent_scopes.role = who and agent_scopes.what = kind
$$;
comment on function ops.agent_names is 'The names of one kind in the scope of a role.';

-- Published documents as an agent may cite them: of the kinds of its scope, its headline and no more of its making.
create view ops.agent_documents as
select documents.id, documents.kind, documents.period_start, documents.period_end, documents.created_at,
    documents.document -> 'summary' as summary, documents.document -> 'blocks' as blocks
from ops.documents
where exists (
    select 1 from ops.agent_scopes
    where agent_scopes.role = current_user and agent_scopes.what = 'document'
        and agent_scopes.name = split_part(documents.kind, ':', 1)
);
comment on view ops.agent_documents is 'Documents that the current role may cite.';

-- What of an order's state GitHub was told last. What differs is what has to be shown.
create function ops.work_state_shown(phase text, manager text, paused_since timestamptz) returns text language sql
    immutable as $$select phase || '|' || manager || case when paused_since is null then '' else '|paused' end$$;
alter table ops.work_orders add column shown_state text not null default '';
create index work_orders_to_show on ops.work_orders (id)
    where shown_state <> ops.work_state_shown(phase, manager, paused_since);
comment on column ops.work_orders.shown_state is 'The state as labels and card on GitHub were last set by; another one than now has to be shown.';

create table ops.work_answers (
    id bigint generated always as identity primary key,
    work_id bigint not null references ops.work_orders (id),
    attempt integer not null check (attempt > 0),
    body_hash text not null,
    state text not null default 'staged' check (state in ('staged', 'posted', 'superseded')),
    ends text not null check (ends in ('answered', 'done', 'blocked')),
    reason text not null default '',
    note text not null default '',
    body text not null,
    document_id bigint,
    held jsonb not null default '[]',
    tokens bigint not null default 0,
    cost numeric not null default 0,
    made_at timestamptz not null,
    posted_at timestamptz,
    check ((state = 'posted') <= (posted_at is not null)),
    check (ends <> 'blocked' or reason <> '')
);
create unique index work_answers_staged on ops.work_answers (work_id) where state = 'staged';
create index work_answers_of_work on ops.work_answers (work_id, id desc);
comment on table ops.work_answers is 'Each finished answer, kept together with its staged effects: an attempt that died after it posts it and asks no model again. ends says what the order becomes when it is posted; held are effects that wait for the manager.';

create view ops.agent_alerts as
select alerts.id, alerts.label, alerts.state, alerts.severity, alerts.owner, alerts.division, alerts.since,
    alerts.opened_at, alerts.resolved_at, alerts.assignee, alerts.acknowledged_at
from ops.alerts
where exists (
    select 1 from ops.agent_scopes
    where agent_scopes.role = current_user and agent_scopes.what = 'division'
        and agent_scopes.name in ('all', alerts.division)
);
comment on view ops.agent_alerts is 'Alerts of the divisions of the current role.';

create view ops.agent_judgements as
select judgements.metric_id, judgements.date, judgements.found, judgements.reason, judgements.value,
    judgements.expected_low, judgements.expected_high, judgements.fresh_to, judgements.tie_out
from ops.judgements
where judgements.dimension = 'all' and exists (
    select 1 from ops.agent_scopes
    where agent_scopes.role = current_user and agent_scopes.what = 'metric'
        and agent_scopes.name = judgements.metric_id
);
comment on view ops.agent_judgements is 'What the watch found of the metrics of the current role.';
