-- What running on a server needs to remember: processes of runs that died, bots that were let go again, restores.

create table ops.worker_deaths (
    run_id text primary key,
    bot text not null,
    job text not null,
    why text not null,
    died_at timestamptz not null
);
create index worker_deaths_by_bot on ops.worker_deaths (bot, died_at);
comment on table ops.worker_deaths is 'Runs whose process died without a word. Three of a bot within half an hour isolate it.';

create table ops.bot_releases (
    bot text not null,
    released_by text not null,
    released_at timestamptz not null,
    primary key (bot, released_at)
);
comment on table ops.bot_releases is 'When a person let the runs of an isolated bot start again.';

create table ops.restores (
    id bigint generated always as identity primary key,
    backup text not null,
    backup_at timestamptz not null,
    restored_at timestamptz not null,
    reconciled_at timestamptz,
    adopted integer not null default 0
);
create index restores_open on ops.restores (id) where reconciled_at is null;
comment on table ops.restores is 'Times this database was made from a backup. Until a restore is reconciled with what vendors already show, nothing is posted.';
comment on column ops.restores.backup_at is 'Moment the backup shows. What was delivered between it and the restore is known to the vendors only.';
comment on column ops.restores.adopted is 'Messages found at vendors and taken over.';

-- What a message is, carried to the vendor in its metadata, so that a restored outbox can know it again.
alter table ops.outbox add column adopted boolean not null default false;
comment on column ops.outbox.adopted is 'Found at the vendor after a restore: its text is not known here, only that it was sent.';
