{{ config(materialized='lasting_view') }}

with metrics as (
    select
        raw.id as account_health_id,
        (raw.payload ->> 'reportCreatedTime')::timestamptz as reported_at,
        raw.payload ->> 'marketplaceId' as marketplace_id,
        metric.name,
        metric.value
    from {{ source('raw_amazon', 'account_health') }} as raw
    cross join jsonb_each(raw.payload -> 'performanceMetrics') as metric (name, value)
    where
        raw.deleted_at is null
        and jsonb_typeof(raw.payload -> 'performanceMetrics') = 'object'
        and jsonb_typeof(metric.value) = 'object'
),

-- Order defects are told apart by who ships, one level deeper.
by_metric as (
    select
        account_health_id,
        reported_at,
        marketplace_id,
        name,
        value
    from metrics
    where value ? 'status'
    union all
    select
        metrics.account_health_id,
        metrics.reported_at,
        metrics.marketplace_id,
        metrics.name || '.' || part.name as name,
        part.value
    from metrics
    cross join jsonb_each(metrics.value) as part (name, value)
    where not metrics.value ? 'status' and jsonb_typeof(part.value) = 'object' and part.value ? 'status'
)

select
    account_health_id || ':' || name as account_health_metric_id,
    account_health_id,
    reported_at,
    marketplace_id,
    name as metric_name,
    value ->> 'status' as metric_status,
    (value ->> 'rate')::numeric as rate,
    (value ->> 'targetValue')::numeric as target_value,
    value ->> 'targetCondition' as target_condition,
    (value ->> 'defectsCount')::bigint as defect_count,
    (value ->> 'orderCount')::bigint as order_count,
    (value -> 'reportingDateRange' ->> 'reportingDateFrom')::timestamptz as period_from,
    (value -> 'reportingDateRange' ->> 'reportingDateTo')::timestamptz as period_to
from by_metric
