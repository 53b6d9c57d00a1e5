{{ config(
    unique_key='order_id',
    scope='order_id',
    changed_by={'fct_orders': 'order_id'},
    indexes=[{'columns': ['order_id'], 'unique': true}, {'columns': ['opened_day']}, {'columns': ['waiting_until']}],
) }}

-- Orders that wait or waited at the close of at least one day, with the first such day and the last; for an order
-- that still waits the last is the day on which it will be archived. An order older than the archive age is no
-- longer chased, so it leaves the backlog on that day.
select
    orders.order_id,
    orders.channel,
    orders.opened_day,
    least(
        orders.settled_day - 1, orders.opened_day + {{ threshold('late_archived_days', 60) }}::int
    ) as waiting_until,
    orders.is_custom,
    orders.total_amount_company as value,
    orders.total_amount_company >= {{ threshold('late_high_value', 500) }} as is_high_value
from {{ ref('fct_orders') }} as orders
where
    (orders.settled_day is null or orders.settled_day > orders.opened_day)
    and {{ in_scope('orders.order_id') }}
