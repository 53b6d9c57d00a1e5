{{ config(
    unique_key=['date', 'marketplace_id'],
    indexes=[{'columns': ['date', 'marketplace_id'], 'unique': true}],
) }}

-- The account by day: the last report of the day, else the last one before it. A report is good for a few days;
-- after that the state is unknown, not healthy.
with reports as (
    select
        health.*,
        {{ company_day('health.reported_at') }} as report_day
    from {{ ref('stg_amazon__account_health') }} as health
    where
        health.reported_at is not null
        and health.marketplace_id is not null
),

of_day as (
    select distinct on (reports.marketplace_id, reports.report_day) reports.*
    from reports
    order by reports.marketplace_id asc, reports.report_day asc, reports.reported_at desc
),

judged as (
    select
        of_day.account_health_id,
        of_day.marketplace_id,
        of_day.report_day,
        of_day.reported_at,
        of_day.account_status,
        of_day.rating_status,
        lead(of_day.report_day) over (partition by of_day.marketplace_id order by of_day.report_day) as next_day,
        coalesce(measured.bad_metrics, '{}') as bad_metrics,
        measured.late_shipment_rate,
        measured.valid_tracking_rate,
        measured.cancellation_rate
    from of_day
    left join lateral (
        select
            array_agg(metrics.metric_name order by metrics.metric_name) filter (
                where metrics.metric_status = 'BAD'
            ) as bad_metrics,
            max(metrics.rate) filter (where metrics.metric_name = 'lateShipmentRate') as late_shipment_rate,
            max(metrics.rate) filter (where metrics.metric_name = 'validTrackingRate') as valid_tracking_rate,
            max(metrics.rate) filter (
                where metrics.metric_name = 'preFulfillmentCancellationRate'
            ) as cancellation_rate
        from {{ ref('stg_amazon__account_health_metrics') }} as metrics
        where metrics.account_health_id = of_day.account_health_id
    ) as measured on true
),

days as (
    select
        judged.*,
        day.value::date as date,
        day.value::date < judged.report_day + {{ threshold('account_report_valid_days', 3) }}::int as is_current
    from judged
    cross join generate_series(
        judged.report_day::timestamp,
        coalesce(judged.next_day - 1, {{ as_of_day() }})::timestamp,
        interval '1 day'
    ) as day (value)
)

select
    days.date,
    days.marketplace_id,
    days.reported_at,
    days.is_current,
    case when days.is_current then days.account_status end as account_status,
    case when days.is_current then days.rating_status end as rating_status,
    case
        when days.is_current
            then
                coalesce(days.account_status <> 'NORMAL', false)
                or coalesce(days.rating_status = 'WARNED', false)
    end as is_at_risk,
    case when days.is_current then days.bad_metrics end as bad_metrics,
    case when days.is_current then days.late_shipment_rate end as late_shipment_rate,
    case when days.is_current then days.valid_tracking_rate end as valid_tracking_rate,
    case when days.is_current then days.cancellation_rate end as cancellation_rate
from days
