-- Completeness: what payloads look like, what changed about it, streams that wait for a person, sweeps.

alter table ops.sync_runs drop constraint sync_runs_status_check;
alter table ops.sync_runs add constraint sync_runs_status_check
    check (status in ('running', 'succeeded', 'failed', 'skipped', 'paused'));
alter table ops.sync_runs add column kind text not null default 'sync' check (kind in ('sync', 'retry'));
comment on column ops.sync_runs.kind is 'sync: the vendor was read; retry: records kept in quarantine were checked again.';
alter table ops.sync_runs add column sweep text not null default 'not_due' check (sweep in ('not_due', 'done', 'held'));
comment on column ops.sync_runs.sweep is 'The look for records the vendor no longer has; held: more were missing than may go at once.';
alter table ops.sync_runs add column revived bigint not null default 0;
comment on column ops.sync_runs.revived is 'Rows taken for deleted that the vendor still has.';
alter table ops.sync_runs add column held text;
comment on column ops.sync_runs.held is 'Why the sweep was held.';

alter table ops.cursors add column swept_at timestamptz;
comment on column ops.cursors.swept_at is 'When the ids of the stream were last compared with those the vendor still has.';

create table ops.stream_shapes (
    vendor text not null,
    stream text not null,
    fields jsonb not null,
    records bigint not null default 0,
    updated_at timestamptz not null,
    primary key (vendor, stream)
);
comment on table ops.stream_shapes is 'The shape of the payloads seen, one row a stream: field path, JSON types, how often it was there.';

create table ops.schema_changes (
    id bigint generated always as identity primary key,
    vendor text not null,
    stream text not null,
    path text not null,
    change text not null check (change in ('added', 'retyped', 'removed', 'refused')),
    before text not null,
    after text not null,
    pauses boolean not null,
    state text not null check (state in ('noted', 'open', 'accepted', 'withdrawn')),
    models text[] not null default '{}',
    sync_id bigint,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    settled_at timestamptz,
    settled_by text
);
create unique index schema_changes_unsettled on ops.schema_changes (vendor, stream, path, change) where state = 'open';
create index schema_changes_by_time on ops.schema_changes (first_seen_at);
comment on table ops.schema_changes is 'What changed about payloads: noted ones are kept and told once, open ones pause their stream until accepted here or withdrawn by the vendor.';

alter table ops.quarantine add column resolution text
    check (resolution in ('arrived', 'landed by retry', 'superseded'));
comment on column ops.quarantine.resolution is 'How it ended: the record arrived good, was landed by `ops quarantine retry`, or a newer version or deletion came first.';
