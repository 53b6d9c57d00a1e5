{{ config(
    unique_key=['date', 'agent', 'priority'],
    scope='date',
    changed_by={'fct_work_orders': ['received_day..ended_day'], 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'agent', 'priority'], 'unique': true}],
) }}

select
    days.date,
    orders.agent,
    orders.priority,
    count(*) as orders_open,
    count(*) filter (where orders.is_breach and orders.judged_day <= days.date) as orders_late
from {{ days_in_scope(ref('fct_work_orders'), 'received_day') }} as days
inner join {{ ref('fct_work_orders') }} as orders
    on
        days.date >= orders.received_day
        and (days.date < orders.ended_day or orders.ended_day is null)
where days.date <= {{ as_of_day() }}
group by days.date, orders.agent, orders.priority
