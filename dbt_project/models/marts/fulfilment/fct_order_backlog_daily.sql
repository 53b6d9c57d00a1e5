{{ config(
    unique_key=['date', 'bucket'],
    scope='date',
    changed_by={'int_order_backlog': 'opened_day..waiting_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'bucket'], 'unique': true}],
) }}

with waiting as (
    select
        days.date,
        {{ late_bucket('days.date - backlog.opened_day', 'backlog.is_custom') }} as bucket,
        backlog.value,
        backlog.is_high_value
    from {{ days_in_scope(ref('int_order_backlog'), 'opened_day') }} as days
    inner join {{ ref('int_order_backlog') }} as backlog
        on
            days.date >= backlog.opened_day
            and days.date <= backlog.waiting_until
            and backlog.opened_day >= days.date - {{ threshold('late_archived_days', 60) }}::int
    where days.date <= {{ as_of_day() }}
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
