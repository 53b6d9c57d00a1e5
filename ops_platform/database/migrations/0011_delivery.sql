-- What messages carry besides their words, the last step of each attempt, hours in which nobody is disturbed, and kinds of
-- messages that need a person's approval before they may even wait to be sent.

create table ops.files (
    sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
    content bytea not null,
    size bigint generated always as (octet_length(content)) stored,
    created_at timestamptz not null,
    check (sha256 = encode(sha256(content), 'hex'))
);
comment on table ops.files is 'Files that messages carry, once each, by what is in them: exactly these bytes are sent.';

create table ops.outbox_handovers (
    outbox_id uuid not null references ops.outbox (id),
    attempt integer not null check (attempt > 0),
    known_as text not null check (length(known_as) between 1 and 500),
    at timestamptz not null,
    primary key (outbox_id, attempt)
);
comment on table ops.outbox_handovers is 'Committed just before the one step of an attempt that has an effect at the vendor: an attempt without a line here certainly had none. known_as is what the vendor would know the message by.';
create trigger only_added before update or delete on ops.outbox_handovers
    for each row execute function ops.refuse_change();

alter table ops.outbox add column quiet_until timestamptz;
comment on column ops.outbox.quiet_until is 'On the company''s clock: not posted before, so that nobody is disturbed at night.';

create table ops.alert_escalations (
    alert_id bigint not null references ops.alerts (id),
    severity text not null check (severity in ('alert', 'critical')),
    at timestamptz not null,
    messages integer not null default 0,
    primary key (alert_id, severity)
);
comment on table ops.alert_escalations is 'Alerts that nobody took in time and that were told further, once at each severity.';

create table ops.approval_required (
    kind text primary key
);
comment on table ops.approval_required is 'Kinds of messages that cannot be put in the outbox without the approval of exactly what they carry and where they go.';
insert into ops.approval_required (kind) values ('board_pack');

-- Whatever the code does: a message of such a kind is of an approved document, carries none but the approved files, and
-- goes to none but the approved channel and addresses.
create function ops.outbox_as_approved() returns trigger language plpgsql as $$
begin
    if not exists (
        select from ops.approval_required
        where approval_required.kind in (
            new.kind, (select documents.kind from ops.documents where documents.id = new.document_id)
        )
    ) then
        return new;
    end if;
    if not exists (
        select from ops.approval_events as approved
        inner join ops.approval_versions as versions
            on versions.approval_id = approved.approval_id
                and versions.version = approved.version
                and versions.payload_hash = approved.payload_hash
        where approved.event = 'approved'
            and versions.payload ->> 'document' = new.document_id::text
            and case
                when new.channel_key = 'email' then coalesce(versions.payload -> 'email', '[]'::jsonb) ? new.channel
                else versions.payload ->> 'channel' = new.channel_key
            end
            and not exists (
                select from jsonb_array_elements(coalesce(new.payload -> 'files', '[]'::jsonb)) as carried
                where not coalesce((carried ->> 'inline')::boolean, false)
                    and carried ->> 'sha256' is distinct from (versions.payload -> 'files' ->> (carried ->> 'name'))
            )
    ) then
        raise exception 'a message of kind % is not what was approved, or nothing was', new.kind
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger as_approved before insert on ops.outbox
    for each row execute function ops.outbox_as_approved();
-- Its state may move; what it says, carries and where it goes may not, but by another approval.
create trigger still_as_approved before update of kind, document_id, channel_key, channel, payload on ops.outbox
    for each row
    when (
        new.state <> 'sent' and (
            new.kind is distinct from old.kind
            or new.document_id is distinct from old.document_id
            or new.channel_key is distinct from old.channel_key
            or new.channel is distinct from old.channel
            or new.payload is distinct from old.payload
        )
    )
    execute function ops.outbox_as_approved();
