-- The operations schema: receipts of syncs, quarantine, tie-outs, evidence, documents, outbox, tokens.
-- A migration is never edited once released; a change is a new file.

create schema ops;

create table ops.sync_runs (
    id bigint generated always as identity primary key,
    vendor text not null,
    stream text not null,
    run_id text,
    status text not null check (status in ('running', 'succeeded', 'failed', 'skipped')),
    started_at timestamptz not null,
    finished_at timestamptz,
    pages bigint not null default 0,
    received bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    duplicates bigint not null default 0,
    quarantined bigint not null default 0,
    deleted bigint not null default 0,
    stripped_nul bigint not null default 0,
    cursor_before text,
    cursor_after text,
    api_cost numeric not null default 0,
    control_totals jsonb,
    tie_out text not null default 'unknown' check (tie_out in ('matched', 'mismatched', 'unknown')),
    fresh_to timestamptz,
    error text
);
create index sync_runs_by_stream on ops.sync_runs (vendor, stream, id desc);
comment on table ops.sync_runs is 'One receipt per sync of one stream; received = inserted + updated + unchanged + duplicates + quarantined.';

create table ops.cursors (
    vendor text not null,
    stream text not null,
    cursor text,
    fresh_to timestamptz,
    updated_at timestamptz not null,
    primary key (vendor, stream)
);
comment on table ops.cursors is 'Where the next sync of a stream starts, and the moment up to which its table is complete.';

create table ops.quarantine (
    id bigint generated always as identity primary key,
    vendor text not null,
    stream text not null,
    record_id text,
    reason text not null,
    detail text not null,
    raw text not null,
    raw_hash bytea not null,
    sync_id bigint,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    resolved_at timestamptz,
    unique nulls not distinct (vendor, stream, record_id, raw_hash)
);
create index quarantine_open on ops.quarantine (vendor, stream) where resolved_at is null;
comment on table ops.quarantine is 'Records that could not be landed, whole, with the reason; nothing is dropped.';

create table ops.tie_outs (
    vendor text not null,
    stream text not null,
    entity text not null,
    day date not null,
    source_count bigint,
    landed_count bigint,
    source_amount numeric,
    landed_amount numeric,
    currency text,
    status text not null check (status in ('matched', 'mismatched', 'unknown')),
    sync_id bigint,
    checked_at timestamptz not null,
    primary key (vendor, stream, entity, day)
);
create index tie_outs_open on ops.tie_outs (vendor, stream, day) where status <> 'matched';
comment on table ops.tie_outs is 'What the vendor says it holds against what landed, per entity and day; 0001-01-01 stands for the whole entity.';

create table ops.company (
    singleton boolean primary key default true check (singleton),
    name text not null,
    timezone text not null,
    currency text not null,
    as_of timestamptz not null
);
comment on table ops.company is 'The company and the clock that the warehouse is built for; written before each build.';

create table ops.thresholds (
    name text primary key,
    value numeric not null,
    unit text not null
);
comment on table ops.thresholds is 'The thresholds of fleet.yaml, so that rules in SQL read them as data.';

create table ops.connections (
    vendor text primary key,
    connected boolean not null,
    checked_at timestamptz not null,
    detail text
);
comment on table ops.connections is 'Which vendors have credentials: a vendor without is not connected, which is neither an error nor a zero.';

create table ops.evidence_bundles (
    digest text primary key,
    kind text not null,
    period_start date not null,
    period_end date not null,
    as_of timestamptz not null,
    payload jsonb not null,
    created_at timestamptz not null default now()
);

create table ops.documents (
    id bigint generated always as identity primary key,
    kind text not null,
    period_start date not null,
    period_end date not null,
    evidence_digest text not null references ops.evidence_bundles (digest),
    writer text not null check (writer in ('rules', 'claude')),
    model_output jsonb,
    document jsonb not null,
    digest text not null,
    created_at timestamptz not null default now(),
    unique (kind, period_start, digest)
);

create table ops.outbox (
    id uuid primary key,
    dedupe_key text not null unique check (length(dedupe_key) <= 255),
    kind text not null,
    period_start date,
    period_end date,
    channel_key text not null,
    channel text not null,
    payload jsonb not null,
    payload_hash text not null,
    document_id bigint references ops.documents (id),
    thread_of uuid references ops.outbox (id),
    state text not null default 'pending'
        check (state in ('pending', 'sending', 'ambiguous', 'sent', 'held', 'failed')),
    attempts integer not null default 0,
    not_before timestamptz,
    lease_until timestamptz,
    external_id text,
    superseded_payloads integer not null default 0,
    error text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    sent_at timestamptz
);
create index outbox_undelivered on ops.outbox (state, created_at) where state not in ('sent', 'failed');
comment on table ops.outbox is 'Messages to the outside: one row a message, never deleted; delivered, held and failed are states.';

create table ops.token_ledger (
    id bigint generated always as identity primary key,
    bot text not null,
    cycle text not null,
    purpose text not null,
    model text not null,
    tier text not null,
    state text not null check (state in ('reserved', 'spent', 'released')),
    outcome text,
    reserved_tokens integer not null check (reserved_tokens >= 0),
    input_tokens integer not null default 0,
    output_tokens integer not null default 0,
    cache_read_tokens integer not null default 0,
    cache_write_tokens integer not null default 0,
    cost_usd numeric not null default 0,
    document_id bigint references ops.documents (id),
    created_at timestamptz not null,
    settled_at timestamptz
);
create index token_ledger_by_cycle on ops.token_ledger (cycle, bot);
comment on table ops.token_ledger is 'Tokens reserved before they are spent, and what came of them.';

create table ops.warehouse_builds (
    id bigint generated always as identity primary key,
    run_id text,
    fingerprint text not null,
    status text not null check (status in ('succeeded', 'failed')),
    started_at timestamptz not null,
    finished_at timestamptz not null,
    models integer not null default 0,
    tests integer not null default 0,
    failures integer not null default 0,
    warnings integer not null default 0
);
comment on table ops.warehouse_builds is 'What each dbt build was built from; an equal fingerprint means there is nothing to build again.';
