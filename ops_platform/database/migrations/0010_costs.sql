-- What a call was for, at which price, and what it came to. The period and the writer of its document stay known when the
-- document's time is over: cost per delivered output is told by them.

alter table ops.token_ledger
    add column task text not null default 'write' check (task in ('extract', 'classify', 'write', 'synthesise')),
    add column batch boolean not null default false,
    add column period_start date,
    add column written_by text;
update ops.token_ledger
set period_start = documents.period_start, written_by = documents.writer
from ops.documents
where documents.id = token_ledger.document_id;
create index token_ledger_by_time on ops.token_ledger (created_at);
create index outbox_by_period on ops.outbox (kind, period_start) where state = 'sent';
comment on column ops.token_ledger.batch is 'Served in a batch, as the vendor said: at the batch share of the list price.';
comment on column ops.token_ledger.period_start is 'First day of the period its document is for; null where no document came of the call.';
comment on column ops.token_ledger.written_by is 'Whose text that document has: rules where the answer was not used.';
