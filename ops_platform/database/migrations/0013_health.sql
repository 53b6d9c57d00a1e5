-- The machine's own health: when jobs are due, whether the services stood, the score and what moved it.

create table ops.expected_ticks (
    job text not null,
    bot text not null,
    due_at timestamptz not null,
    next_due_at timestamptz not null,
    answer_by timestamptz not null,
    published_at timestamptz not null,
    primary key (job, due_at),
    check (next_due_at > due_at),
    check (answer_by > due_at)
);
create index expected_ticks_by_time on ops.expected_ticks (due_at);
comment on table ops.expected_ticks is 'When each job is due, published ahead by the fleet''s own reading of its crons: what the watchdog, outside everything, holds the runs against. What is past is never rewritten.';

create table ops.service_observations (
    observer text not null,
    at timestamptz not null,
    down text[] not null default '{}',
    boot_at timestamptz,
    primary key (observer, at)
);
create index service_observations_by_time on ops.service_observations (at);
comment on table ops.service_observations is 'Which services did not stand, as the watchdog, the supervisor and the health job each saw it; boot_at is when the machine was started.';

create table ops.fleet_health (
    at timestamptz primary key,
    version integer not null,
    score numeric check (score between 0 and 100),
    low numeric not null check (low between 0 and 100),
    high numeric not null check (high between low and 100),
    coverage numeric not null check (coverage between 0 and 1),
    band text not null check (band in ('healthy', 'fair', 'poor', 'critical', 'unknown')),
    previous_at timestamptz,
    change numeric,
    check ((score is null) = (band = 'unknown')),
    check (previous_at < at),
    check (change is null or previous_at is not null)
);
comment on table ops.fleet_health is 'Is the machine well, 0 to 100: one row a look. low and high say how far what is unknown could move it; docs/fleet_health.md has the formula.';

create table ops.fleet_health_factors (
    at timestamptz not null references ops.fleet_health (at) on delete cascade,
    factor text not null,
    label text not null,
    nominal_weight numeric not null check (nominal_weight between 0 and 100),
    weight numeric not null check (weight between 0 and 100),
    attainment numeric check (attainment between 0 and 1),
    low numeric not null check (low between 0 and 1),
    high numeric not null check (high between low and 1),
    contribution numeric not null,
    change numeric,
    known boolean not null,
    unknown_since timestamptz,
    detail text not null default '',
    primary key (at, factor),
    check (known or unknown_since is not null),
    check (not known or attainment is not null)
);
comment on table ops.fleet_health_factors is 'The factors of each score: contributions add up to it and changes to its change, exactly.';
