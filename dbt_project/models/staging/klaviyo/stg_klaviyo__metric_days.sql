{{ config(
    unique_key='metric_day_id',
    scope='metric_day_id',
    changed_by={'metric_aggregates': 'id'},
    indexes=[{'columns': ['metric_day_id'], 'unique': true}, {'columns': ['day']}],
) }}

with changed as (
    {{ live_rows(source('raw_klaviyo', 'metric_aggregates')) }}
)

select
    changed.id as metric_day_id,
    changed.payload ->> 'metric_id' as metric_id,
    changed.payload ->> 'metric_name' as metric_name,
    changed.payload ->> 'integration' as integration_name,
    (changed.payload ->> 'day')::date as day,
    changed.payload ->> 'timezone' as timezone,
    (changed.payload ->> 'count')::bigint as event_count,
    (changed.payload ->> 'unique')::bigint as people_count,
    (changed.payload ->> 'value')::numeric as value_amount,
    changed.payload ->> 'currency' as currency
from changed
