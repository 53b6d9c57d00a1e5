-- What has to be done, by whom and until when; carried over from narrative to narrative until somebody has done it.

create table ops.action_items (
    id bigint generated always as identity primary key,
    subject text not null check (length(subject) between 1 and 200),
    what text not null check (what <> ''),
    about text not null default '',
    severity text not null check (severity in ('watch', 'alert', 'critical')),
    division text,
    owner text not null check (owner <> ''),
    assigned_by text,
    opened_for date not null,
    opened_by text not null,
    due_on date not null,
    seen_for date not null,
    state text not null default 'open' check (state in ('open', 'done', 'dropped')),
    settled_on date,
    settled_by text,
    note text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((state = 'open') = (settled_on is null)),
    check ((state = 'open') = (settled_by is null)),
    check (due_on >= opened_for and seen_for >= opened_for)
);
create unique index action_items_open on ops.action_items (subject) where state = 'open';
create index action_items_due on ops.action_items (due_on) where state = 'open';
create index action_items_settled on ops.action_items (subject, settled_on) where state <> 'open';
comment on table ops.action_items is 'Action items: one open one a subject. about names the thing in the words of its source; opened_for and seen_for are the ends of the periods of the narratives that opened it and last had its concern.';

create table ops.action_item_events (
    id bigint generated always as identity primary key,
    action_id bigint not null references ops.action_items (id),
    event text not null check (event in ('opened', 'assigned', 'moved', 'done', 'dropped')),
    actor text not null,
    detail text not null default '',
    at timestamptz not null
);
create index action_item_events_by_item on ops.action_item_events (action_id, id);
comment on table ops.action_item_events is 'Everything that was ever said about an action item: only ever added to.';
