-- Whether the watch came to look, and what a run had to say and held back.

create table ops.watch_looks (
    step text primary key check (step in ('judgements', 'level_shifts')),
    tried_at timestamptz not null,
    looked_at timestamptz,
    failing_since timestamptz,
    error text,
    check (looked_at <= tried_at),
    check (failing_since <= tried_at),
    check ((failing_since is null) = (error is null)),
    check (looked_at is not null or failing_since is not null)
);
comment on table ops.watch_looks is 'One row a step of the watch: when it last looked at every metric, and since when it fails. Judgements that were kept say nothing about a look that did not happen.';

alter table ops.receipts add column held jsonb not null default '{}' check (jsonb_typeof(held) = 'object');
comment on column ops.receipts.held is 'How many messages were due and not said, by reason: muted, snoozed, part, interval, storm, inhibited, unposted, undelivered.';
