{{ config(
    materialized='lasting_table',
    unique_key='metric_id',
    contract={'enforced': true},
    indexes=[{'columns': ['metric_id'], 'unique': true}],
    group='coordinator',
) }}

{#- dbt parses the model before the catalogue is at hand; a row without an id keeps the statement whole. -#}
{%- set nothing =
    "('', '', '', '', '', '', '', 0, 0, '', '', '{}'::text[], '{}'::text[], false, '', false, null::numeric)" %}
{%- set rows = metric_catalogue_rows() or [nothing] %}

with catalogue (
    metric_id, label, description, unit, direction, aggregation, kind, target, minimum_effect, owner, division,
    sources, required_sources, in_pulse, persistence, is_watched, usual_share
) as (
    values
    {{ rows | join(',\n    ') }}
)

select
    catalogue.metric_id,
    catalogue.label,
    catalogue.description,
    catalogue.unit,
    catalogue.direction,
    catalogue.aggregation,
    case when catalogue.unit = 'money' then {{ company_currency() }} end as currency,
    catalogue.target,
    catalogue.minimum_effect,
    catalogue.owner,
    catalogue.division,
    catalogue.sources,
    catalogue.in_pulse,
    catalogue.kind,
    catalogue.required_sources,
    nullif(catalogue.persistence, '') as persistence,
    catalogue.is_watched,
    catalogue.usual_share
from catalogue
where catalogue.metric_id <> ''
