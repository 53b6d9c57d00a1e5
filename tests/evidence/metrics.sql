-- The published metrics as evidence and rules read them: two relations with the columns that are read, without rows.

create schema if not exists marts;
create schema if not exists metrics;

create table metrics.dim_metric (
    metric_id text primary key, label text, description text, unit text, direction text, aggregation text,
    currency text, target numeric, minimum_effect numeric, owner text, division text, sources text[], in_pulse boolean,
    kind text, required_sources text[]
);
create table metrics.fct_metric_daily (
    metric_id text, date date, dimension text, dimension_value text, value numeric, numerator numeric,
    denominator numeric, fresh_to timestamptz, tie_out text
);
