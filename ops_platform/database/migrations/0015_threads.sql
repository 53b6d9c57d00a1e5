-- The inbox's threads: who is to see to one, what lies beside it, campaigns handed over once approved, and how the
-- integrations answered.

alter table ops.approvals add column assignee text check (length(assignee) between 1 and 80);
comment on column ops.approvals.assignee is 'Who is to see to it: a name under approvals.people in fleet.yaml.';

alter table ops.approval_events drop constraint approval_events_event_check;
alter table ops.approval_events add constraint approval_events_event_check check (event in (
    'requested', 'revised', 'commented', 'asked', 'approved', 'rejected', 'expired', 'sent', 'failed', 'retried',
    'assigned', 'moved', 'attached'
));

create table ops.approval_attachments (
    id bigint generated always as identity primary key,
    approval_id bigint not null references ops.approvals (id),
    name text not null check (length(name) between 1 and 120),
    media_type text not null,
    content bytea not null check (octet_length(content) between 1 and 5242880),
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    added_by text not null,
    at timestamptz not null,
    unique (approval_id, name)
);
comment on table ops.approval_attachments is 'Files that lie beside a request: only ever added to. They are no part of what is approved.';
create trigger only_added before update or delete on ops.approval_attachments
    for each row execute function ops.refuse_change();
create trigger not_emptied before truncate on ops.approval_attachments
    for each statement execute function ops.refuse_change();

create table ops.campaign_handovers (
    id bigint generated always as identity primary key,
    approval_id bigint not null references ops.approvals (id),
    payload_hash text not null,
    part text not null,
    mark text not null unique check (length(mark) between 1 and 60),
    draft jsonb not null,
    state text not null default 'pending' check (state in ('pending', 'made', 'failed')),
    attempts integer not null default 0,
    not_before timestamptz,
    result jsonb,
    error text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (approval_id, part),
    check ((state = 'made') = (result is not null))
);
create index campaign_handovers_pending on ops.campaign_handovers (id) where state = 'pending';
comment on table ops.campaign_handovers is 'Drafts of campaigns to be made in the campaign tool, each once; mark stands in the name of everything made for one.';

create table ops.campaign_recipients (
    handover_id bigint not null references ops.campaign_handovers (id),
    customer text not null,
    reason text not null,
    arm text,
    approved_on date not null,
    primary key (handover_id, customer)
);
create index campaign_recipients_by_customer on ops.campaign_recipients (customer, approved_on);
comment on table ops.campaign_recipients is 'Which customer (the app''s id) an approved campaign of ours was for, and why.';

-- Whatever the code does: no campaign goes out of the house without the approval of this very payload.
create function ops.handed_over_as_approved() returns trigger language plpgsql as $$
begin
    if not exists (
        select from ops.approval_events as approved
        where approved.approval_id = new.approval_id and approved.event = 'approved'
            and approved.payload_hash = new.payload_hash
    ) then
        raise exception 'approval % does not cover this campaign', new.approval_id
            using errcode = 'integrity_constraint_violation';
    end if;
    if tg_op = 'UPDATE' and (new.approval_id, new.payload_hash, new.part, new.mark, new.draft)
        is distinct from (old.approval_id, old.payload_hash, old.part, old.mark, old.draft) then
        raise exception 'what was approved is handed over as it was approved'
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger handed_over_as_approved before insert or update on ops.campaign_handovers
    for each row execute function ops.handed_over_as_approved();

create table ops.integration_pings (
    id bigint generated always as identity primary key,
    integration text not null,
    at timestamptz not null,
    state text not null check (state in ('online', 'offline', 'not_connected')),
    latency_ms integer check (latency_ms >= 0),
    detail text not null default '',
    check ((state = 'online') = (latency_ms is not null))
);
create index integration_pings_by_time on ops.integration_pings (integration, at desc);
comment on table ops.integration_pings is 'How each integration answered when it was asked for something known; uptime is the share of answered asks.';
