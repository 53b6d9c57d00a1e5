-- What waits for a person's word, the exact payloads that were shown, and what people decided.

create table ops.approvals (
    id bigint generated always as identity primary key,
    kind text not null,
    subject text not null check (length(subject) between 1 and 200),
    title text not null,
    author text not null,
    channel_key text,
    state text not null check (state in ('draft', 'approved', 'sent', 'rejected', 'expired', 'failed')),
    version integer not null check (version > 0),
    due_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    outbox_id uuid references ops.outbox (id),
    changes integer not null default 0,
    shown_changes integer not null default 0,
    shown_hash text,
    shown_error text
);
create unique index approvals_open on ops.approvals (kind, subject) where state in ('draft', 'approved', 'failed');
create index approvals_waiting on ops.approvals (due_at) where state in ('draft', 'approved');
create index approvals_by_subject on ops.approvals (kind, subject, id);
comment on table ops.approvals is 'Requests for a person''s word and where each stands; what was shown and what was decided is in the two tables that only grow. The message at the vendor shows the state after shown_changes of its changes.';

create table ops.approval_versions (
    approval_id bigint not null references ops.approvals (id),
    version integer not null check (version > 0),
    payload jsonb not null,
    payload_hash text not null check (payload_hash ~ '^[0-9a-f]{64}$'),
    made_by text not null,
    note text not null default '',
    at timestamptz not null,
    primary key (approval_id, version),
    unique (approval_id, version, payload_hash)
);
comment on table ops.approval_versions is 'The payloads that were shown, whole: only ever added to. payload_hash is sha256 of the canonical JSON.';

create table ops.approval_events (
    id bigint generated always as identity primary key,
    approval_id bigint not null references ops.approvals (id),
    version integer not null,
    payload_hash text not null,
    event text not null check (event in (
        'requested', 'revised', 'commented', 'asked', 'approved', 'rejected', 'expired', 'sent', 'failed', 'retried'
    )),
    actor text not null,
    actor_name text not null,
    via text not null,
    words text not null default '',
    idempotency_key text not null unique check (length(idempotency_key) between 1 and 255),
    at timestamptz not null,
    foreign key (approval_id, version, payload_hash)
        references ops.approval_versions (approval_id, version, payload_hash)
);
create index approval_events_by_approval on ops.approval_events (approval_id, id);
-- One decision for good, and one execution.
create unique index approval_decided_once on ops.approval_events (approval_id)
    where event in ('approved', 'rejected', 'expired');
create unique index approval_sent_once on ops.approval_events (approval_id) where event = 'sent';
comment on table ops.approval_events is 'Who said and did what about which exact payload: only ever added to.';

create function ops.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ops.% is only ever added to', tg_table_name using errcode = 'integrity_constraint_violation';
end
$$;

create trigger only_added before update or delete on ops.approval_versions
    for each row execute function ops.refuse_change();
create trigger not_emptied before truncate on ops.approval_versions
    for each statement execute function ops.refuse_change();
create trigger only_added before update or delete on ops.approval_events
    for each row execute function ops.refuse_change();
create trigger not_emptied before truncate on ops.approval_events
    for each statement execute function ops.refuse_change();

-- Whatever the code does: nothing is sent, and nothing moves towards it, without the approval of this very payload.
create function ops.sent_as_approved() returns trigger language plpgsql as $$
begin
    if not exists (
        select from ops.approval_events as approved
        where approved.approval_id = new.approval_id and approved.event = 'approved'
            and approved.version = new.version and approved.payload_hash = new.payload_hash
    ) then
        raise exception 'approval % does not cover this payload', new.approval_id
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger sent_as_approved before insert on ops.approval_events
    for each row when (new.event in ('sent', 'retried')) execute function ops.sent_as_approved();

create function ops.state_as_decided() returns trigger language plpgsql as $$
begin
    if not exists (
        select from ops.approval_events as decided
        where decided.approval_id = new.id and decided.event = new.state
    ) then
        raise exception 'approval % cannot be %: no such event', new.id, new.state
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger state_as_decided before insert or update of state on ops.approvals
    for each row when (new.state <> 'draft') execute function ops.state_as_decided();
-- What was decided is not undecided.
create trigger draft_once before update of state on ops.approvals
    for each row when (new.state = 'draft' and old.state <> 'draft') execute function ops.refuse_change();
