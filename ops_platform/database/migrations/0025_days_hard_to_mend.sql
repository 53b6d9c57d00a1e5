-- A difference that reading its day again does not mend is read again ever more rarely, and so is a day that cannot be read.

alter table ops.tie_outs add column reread_tries integer not null default 0;
comment on column ops.tie_outs.reread_tries is 'How often in a row the day was to be read again for this very difference, and differs still; 0 for one that ties out.';
alter table ops.tie_outs add column reread_again_at timestamptz;
comment on column ops.tie_outs.reread_again_at is 'This difference is not read again before; null: at the next sync.';
alter table ops.tie_outs add column reread_error text;
comment on column ops.tie_outs.reread_error is 'Why the day could not be read again the last time; null where it could.';

update ops.tie_outs set reread_tries = 1, reread_again_at = reread_at + interval '20 hours' where reread_at is not null;
