-- The project manager's weekly review of work orders: kept, and told once.
create table ops.work_reviews (
    week date primary key,
    figures jsonb not null,
    words text[] not null,
    told boolean not null,
    at timestamptz not null,
    check (extract(isodow from week) = 1)
);
comment on table ops.work_reviews is 'One row for each week of work orders that was reviewed; week is its Monday. Not told: nothing had happened, or no channel was connected.';
