{{ config(materialized='lasting_view') }}

-- Orders that waited at the close of at least one day, with the first and the last such day. An order older
-- than the archive age is no longer chased, so it leaves the backlog on that day.
select
    orders.order_id,
    orders.channel,
    orders.opened_day,
    least(
        coalesce(orders.settled_day - 1, {{ as_of_day() }}),
        orders.opened_day + {{ threshold('late_archived_days', 60) }}::int,
        {{ as_of_day() }}
    ) as last_waiting_day,
    orders.is_custom,
    orders.total_amount_company as value,
    orders.total_amount_company >= {{ threshold('late_high_value', 500) }} as is_high_value
from {{ ref('fct_orders') }} as orders
where
    orders.opened_day <= {{ as_of_day() }}
    and (orders.settled_day is null or orders.settled_day > orders.opened_day)
