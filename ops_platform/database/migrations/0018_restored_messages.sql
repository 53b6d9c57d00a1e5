-- A message's id follows from its dedupe key, so that a restored outbox knows again what vendors already show.

create table ops.installation (
    singleton boolean primary key default true check (singleton),
    id uuid not null default gen_random_uuid(),
    made_at timestamptz not null default now()
);
insert into ops.installation default values;
comment on table ops.installation is 'What tells this installation''s messages from another''s in the same channel; a restore keeps it.';

create table ops.restored_messages (
    outbox_id uuid primary key,
    restore_id bigint not null references ops.restores (id),
    channel text not null,
    external_id text not null
);
comment on table ops.restored_messages is 'Messages that vendors showed when a restore was reconciled. One that is put in the outbox again is taken for sent.';
