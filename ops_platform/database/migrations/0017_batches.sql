-- Calls that wait for the vendor's batch, so that a process that dies meanwhile finds what it paid for; and which prompt a
-- call began with, so that it can be told how often what the vendor is asked to keep is read again.

alter table ops.token_ledger add column prompt text;
comment on column ops.token_ledger.prompt is 'Digest of the part every call of its kind begins with; null where it is not known.';

create table ops.model_batches (
    id bigint generated always as identity primary key,
    request text not null,
    batch_id text,
    ledger_id bigint not null,
    state text not null check (state in ('submitting', 'submitted', 'collected', 'failed', 'lost')),
    submitted_at timestamptz not null,
    ended_at timestamptz
);
create unique index model_batches_open on ops.model_batches (request) where state in ('submitting', 'submitted');
comment on table ops.model_batches is 'Calls handed to the vendor''s batch: which request, which batch, whose reservation, what came of it.';
comment on column ops.model_batches.request is 'Digest of the whole request: the same request finds its batch again.';
