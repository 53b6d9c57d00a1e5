-- Receipts: what each run looked at and said, so that silence can be told from absence; presses; freshness.

create table ops.receipts (
    id bigint generated always as identity unique,
    run_id text primary key check (run_id <> ''),
    job text not null,
    bot text,
    status text not null check (status in ('running', 'succeeded', 'failed')),
    started_at timestamptz not null,
    finished_at timestamptz,
    as_of timestamptz not null,
    checked integer check (checked >= 0),
    breached integer check (breached >= 0),
    unknown integer check (unknown >= 0),
    closest text,
    closeness numeric check (closeness >= 0),
    fresh_to timestamptz,
    stale text[] not null default '{}',
    messages integer not null default 0 check (messages >= 0),
    error text,
    noted_by text not null default 'run' check (noted_by in ('run', 'sensor')),
    seen_ended_at timestamptz,
    check ((status = 'running') = (finished_at is null)),
    check (status <> 'failed' or error is not null),
    check (breached + unknown <= checked)
);
create index receipts_by_job on ops.receipts (job, started_at desc);
create index receipts_by_time on ops.receipts (as_of);
create index receipts_seen_ended on ops.receipts (job, started_at desc) where seen_ended_at is not null;
comment on table ops.receipts is 'One row a job run: what was looked at, how close the closest came, how fresh the data were, and whether anything was said. checked is NULL where the run never came to look; seen_ended_at is when the sensor saw its end.';

create table ops.asset_freshness (
    asset text primary key,
    layer text not null,
    state text not null check (state in ('fresh', 'warning', 'stale', 'unknown')),
    before text check (before in ('fresh', 'warning', 'stale', 'unknown')),
    since timestamptz not null,
    owner text,
    seen_at timestamptz not null
);
create index asset_freshness_unwell on ops.asset_freshness (state) where state <> 'fresh';
comment on table ops.asset_freshness is 'The freshness of every asset with a policy, as last seen; since and before tell the last transition.';

create table ops.alert_presses (
    key text primary key,
    signature text unique,
    via text not null,
    press jsonb not null,
    state text not null default 'received' check (state in ('received', 'done', 'refused', 'failed')),
    outcome text,
    attempts integer not null default 0,
    answered boolean not null default false,
    received_at timestamptz not null,
    settled_at timestamptz,
    check ((state = 'received') = (settled_at is null))
);
create index alert_presses_open on ops.alert_presses (received_at) where state = 'received';
comment on table ops.alert_presses is 'Presses of buttons, kept before they are acknowledged: one row a press, so that what is delivered twice acts once.';

create table ops.alert_editions (
    outbox_id uuid primary key references ops.outbox (id),
    edition integer not null check (edition >= 0),
    payload_hash text not null,
    seen_at timestamptz not null,
    shown_at timestamptz,
    error text
);
comment on table ops.alert_editions is 'What an alert message at the vendor shows since people or the machine changed where it stands.';
