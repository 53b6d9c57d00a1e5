{{ config(
    unique_key='agent',
    indexes=[{'columns': ['agent'], 'unique': true}],
) }}

with orders as (
    select
        open_orders.agent,
        count(*) filter (where open_orders.hours_waiting is not null) as waiting,
        count(*) filter (where open_orders.phase = 'running') as running,
        max(open_orders.hours_waiting) as oldest_hours
    from {{ ref('fct_work_orders') }} as open_orders
    where open_orders.is_open
    group by open_orders.agent
),

failed as (
    select
        attempts.agent,
        count(*) as failures
    from {{ source('ops', 'work_attempts') }} as attempts
    where
        attempts.outcome in ('failed', 'died')
        and attempts.ended_at > {{ as_of() }} - interval '1 day'
    group by attempts.agent
)

select
    agents.agent,
    coalesce(orders.waiting, 0) as waiting,
    coalesce(orders.running, 0) as running,
    agents.instances as places,
    coalesce(failed.failures, 0) as failures_recent,
    round((coalesce(orders.waiting, 0) + coalesce(orders.running, 0))::numeric / agents.instances, 6) as load,
    orders.oldest_hours
from {{ source('ops', 'work_agents') }} as agents
left join orders on agents.agent = orders.agent
left join failed on agents.agent = failed.agent
