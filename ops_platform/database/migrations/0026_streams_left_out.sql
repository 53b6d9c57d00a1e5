alter table ops.connections add column left_out text[] not null default '{}';
comment on column ops.connections.left_out is 'Streams of a connected vendor that the settings leave out: neither failing nor stale.';
