-- What a job has told of its lists, so that the same thing is not told again; and which models a build was of.

create table ops.briefings_told (
    job text not null,
    list text not null,
    key text not null,
    told_as text not null,
    first_told_at timestamptz not null,
    told_at timestamptz not null,
    primary key (job, list, key)
);
comment on table ops.briefings_told is 'Rows of a job''s lists that were told: key is what makes a row the same thing, told_as what was news of it, both as digests. A row that is gone is forgotten, so that its return is news.';

alter table ops.warehouse_builds add column of_models text[];
comment on column ops.warehouse_builds.of_models is 'The models it was to build, where that is a part of the project; null: the whole.';
create index warehouse_builds_whole on ops.warehouse_builds (id) where of_models is null;
