-- What every metric was expected to be, and whether it was.

create table ops.judgements (
    metric_id text not null,
    dimension text not null default 'all',
    dimension_value text not null default 'all',
    date date not null,
    found text not null check (found in ('breached', 'clear', 'unknown')),
    reason text,
    value numeric,
    expected_low numeric,
    expected numeric,
    expected_high numeric,
    effect numeric,
    effect_money numeric,
    closeness numeric check (closeness >= 0),
    adverse boolean not null default true,
    since date check (since <= date),
    baseline text not null default '',
    explanation text not null default '',
    fresh_to timestamptz,
    tie_out text not null default 'unknown',
    judged_at timestamptz not null,
    first_judged_at timestamptz not null,
    primary key (metric_id, dimension, dimension_value, date),
    check ((found = 'unknown') = (closeness is null)),
    check (found <> 'breached' or since is not null)
);
create index judgements_by_date on ops.judgements (date, found);
comment on table ops.judgements is 'One row a metric, dimension value and day: what it was expected to be and whether it was. A day judged again, because late records changed it, keeps when it was first judged.';

create table ops.level_shifts (
    metric_id text not null,
    dimension text not null default 'all',
    dimension_value text not null default 'all',
    date date not null,
    before numeric not null,
    after numeric not null,
    found_at timestamptz not null,
    primary key (metric_id, dimension, dimension_value, date)
);
comment on table ops.level_shifts is 'Days from which on a metric has run at a lasting new level, found at night; from the day found on, earlier days are read as if they had been at the new level.';
