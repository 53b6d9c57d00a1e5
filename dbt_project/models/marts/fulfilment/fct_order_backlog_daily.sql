{{ config(
    unique_key=['date', 'bucket'],
    indexes=[{'columns': ['date', 'bucket'], 'unique': true}],
) }}

with waiting as (
    select
        day.date::date as date,
        {{ late_bucket('day.date::date - backlog.opened_day', 'backlog.is_custom') }} as bucket,
        backlog.value,
        backlog.is_high_value
    from {{ ref('int_order_backlog') }} as backlog
    cross join generate_series(
        backlog.opened_day::timestamp, backlog.last_waiting_day::timestamp, interval '1 day'
    ) as day (date)
)

select
    waiting.date,
    waiting.bucket,
    waiting.bucket in ('watch', 'attention', 'warning', 'critical') as is_late,
    count(*)::bigint as orders,
    count(*) filter (where waiting.is_high_value)::bigint as high_value_orders,
    {{ complete_sum('waiting.value') }} as value,
    {{ company_currency() }} as currency
from waiting
group by waiting.date, waiting.bucket
