-- The alert machine: what each subject is, incidents with their threads, storms, what people did and said about them.

create table ops.alert_storms (
    id bigint generated always as identity primary key,
    channel_key text not null,
    began_at timestamptz not null,
    last_opened_at timestamptz not null,
    outbox_id uuid references ops.outbox (id),
    told_at timestamptz,
    messages integer not null default 0
);
create index alert_storms_by_channel on ops.alert_storms (channel_key, last_opened_at);
comment on table ops.alert_storms is 'Times at which many incidents opened in one channel: one message told of all of them.';

create table ops.alerts (
    id bigint generated always as identity primary key,
    head text not null,
    label text not null,
    state text not null check (state in ('open', 'worsening', 'recovering', 'resolved')),
    resolution text check (resolution in ('clear', 'unseen')),
    severity text not null check (severity in ('watch', 'alert', 'critical')),
    owner text,
    division text,
    since date not null,
    opened_at timestamptz not null,
    resolved_at timestamptz,
    worsenings integer not null default 0,
    flapping boolean not null default false,
    previous_id bigint references ops.alerts (id),
    acknowledged_by text,
    acknowledged_at timestamptz,
    assignee text,
    snoozed_until date,
    snoozed_by text,
    first_told_at timestamptz,
    told_at timestamptz,
    told_state text check (told_state in ('open', 'worsening', 'recovering', 'resolved')),
    told_severity text check (told_severity in ('watch', 'alert', 'critical')),
    told_members text[] not null default '{}',
    told_worsenings integer not null default 0,
    told_flapping boolean not null default false,
    told_unknown boolean not null default false,
    last_outbox_id uuid references ops.outbox (id),
    messages integer not null default 0,
    retold integer not null default 0,
    updated_at timestamptz not null,
    check ((state = 'resolved') = (resolved_at is not null)),
    check ((state = 'resolved') = (resolution is not null)),
    check ((told_at is null) = (told_state is null))
);
create index alerts_standing on ops.alerts (id) where state <> 'resolved';
create index alerts_untold on ops.alerts (id) where state = 'resolved' and told_state <> 'resolved';
create index alerts_by_time on ops.alerts (opened_at);
comment on table ops.alerts is 'Incidents: one thread each, one or more subjects. What was told is kept beside what is, and the difference is what is owed.';

create table ops.alert_threads (
    alert_id bigint not null references ops.alerts (id),
    channel_key text not null,
    outbox_id uuid not null references ops.outbox (id),
    storm_id bigint references ops.alert_storms (id),
    begun_at timestamptz not null,
    lost boolean not null default false,
    primary key (alert_id, outbox_id)
);
comment on table ops.alert_threads is 'The message an incident was first told in, by channel; lost: it never reached the vendor.';

create table ops.alert_conditions (
    subject text primary key,
    kind text not null,
    name text not null,
    dimension text not null default 'all',
    value text not null default 'all',
    state text not null
        check (state in ('quiet', 'pending', 'open', 'worsening', 'recovering', 'resolved', 'lapsed')),
    episode integer not null default 0,
    looks jsonb not null default '[]',
    severity text not null check (severity in ('watch', 'alert', 'critical')),
    closeness numeric,
    effect numeric,
    since date,
    unknown_since timestamptz,
    seen_at timestamptz,
    alert_id bigint references ops.alerts (id),
    signal jsonb,
    inhibited_by text,
    out_at timestamptz[] not null default '{}',
    blind_outbox_id uuid references ops.outbox (id),
    updated_at timestamptz not null,
    check (alert_id is not null or state not in ('open', 'worsening', 'recovering'))
);
create index alert_conditions_standing on ops.alert_conditions (state)
    where state in ('pending', 'open', 'worsening', 'recovering');
create index alert_conditions_unknown on ops.alert_conditions (unknown_since) where unknown_since is not null;
create index alert_conditions_by_alert on ops.alert_conditions (alert_id);
comment on table ops.alert_conditions is 'The state machine of every subject that was ever looked at: a metric, a rule, a source, a job.';

create table ops.alert_members (
    alert_id bigint not null references ops.alerts (id),
    subject text not null,
    joined_at timestamptz not null,
    signal jsonb not null,
    primary key (alert_id, subject)
);
create index alert_members_by_subject on ops.alert_members (subject, joined_at);
comment on table ops.alert_members is 'Which subjects an incident is of, for good, with the look that brought each in.';

create table ops.alert_events (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    alert_id bigint references ops.alerts (id),
    subject text,
    event text not null,
    from_state text,
    to_state text,
    outbox_id uuid references ops.outbox (id),
    detail text
);
create index alert_events_by_alert on ops.alert_events (alert_id, id);
create index alert_events_by_subject on ops.alert_events (subject, id);
comment on table ops.alert_events is 'Every change of state of a subject or incident, and every message: only ever added to.';

create table ops.alert_actions (
    id bigint generated always as identity primary key,
    idempotency_key text not null unique check (length(idempotency_key) between 1 and 255),
    action text not null,
    alert_id bigint references ops.alerts (id),
    actor text not null,
    via text not null,
    arguments jsonb not null,
    outcome text not null,
    at timestamptz not null
);
create index alert_actions_by_alert on ops.alert_actions (alert_id, id);
comment on table ops.alert_actions is 'What people did, from a button, over HTTP or at a terminal: only ever added to.';

create table ops.alert_mutes (
    id bigint generated always as identity primary key,
    kind text not null,
    name text not null,
    dimension text,
    value text,
    first_day date not null,
    last_day date not null,
    reason text not null,
    actor text not null,
    at timestamptz not null,
    ended_at timestamptz,
    ended_by text,
    check (first_day <= last_day)
);
create index alert_mutes_in_force on ops.alert_mutes (last_day) where ended_at is null;
comment on table ops.alert_mutes is 'Known periods of a metric or rule, business days inclusive, in which it is watched and not told.';

create table ops.alert_feedback (
    alert_id bigint not null references ops.alerts (id),
    actor text not null,
    verdict text not null check (verdict in ('useful', 'noise')),
    note text,
    at timestamptz not null,
    primary key (alert_id, actor)
);
comment on table ops.alert_feedback is 'Whether an alert was worth it, by whom; a later word replaces an earlier one, which stays in alert_actions.';
