-- The list of late orders is the backlog's count at the clock.
with counted as (
    select
        (select count(*) from {{ ref('fct_late_orders') }}) as listed,
        (
            select coalesce(sum(backlog.orders), 0)
            from {{ ref('fct_order_backlog_daily') }} as backlog
            where backlog.is_late and backlog.date = {{ as_of_day() }}
        ) as counted
)

select counted.*
from counted
where counted.listed <> counted.counted
