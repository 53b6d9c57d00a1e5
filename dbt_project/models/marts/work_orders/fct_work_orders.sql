{{ config(
    unique_key='work_id',
    indexes=[
        {'columns': ['work_id'], 'unique': true},
        {'columns': ['received_day']},
        {'columns': ['taken_day']},
        {'columns': ['answered_day']},
        {'columns': ['judged_day']},
        {'columns': ['ended_day']},
    ],
) }}

-- Each round of work on an issue. The verdict on the service level falls once: when the answer was posted, or when the
-- time was over, whichever came first. While the clock stands still there is no due time and no verdict.
with taken as (
    select
        attempts.work_id,
        min(attempts.started_at) as started_at,
        count(*) filter (where attempts.outcome in ('failed', 'died')) as failures
    from {{ source('ops', 'work_attempts') }} as attempts
    group by attempts.work_id
),

-- A person had to step in, beside the approval that the policy asks for in any case.
helped as (
    select distinct decisions.work_id
    from {{ source('ops', 'work_decisions') }} as decisions
    where decisions.decision in ('clock_paused', 'needs_revision', 'queued_again', 'escalated')
),

orders as (
    select
        work_orders.*,
        case
            when work_orders.phase = 'withdrawn' then null
            when work_orders.answered_at <= work_orders.due_at then work_orders.answered_at
            when work_orders.due_at <= coalesce(work_orders.answered_at, {{ as_of() }}) then work_orders.due_at
        end as judged_at
    from {{ source('ops', 'work_orders') }} as work_orders
)

select
    orders.id as work_id,
    orders.repository,
    orders.number as issue_number,
    orders.round,
    orders.repository || '#' || orders.number as work_order,
    orders.agent,
    orders.priority,
    orders.phase,
    orders.manager as manager_state,
    orders.attempt as attempts,
    {{ company_day('orders.received_at') }} as received_day,
    {{ company_day('taken.started_at') }} as taken_day,
    {{ company_day('orders.answered_at') }} as answered_day,
    {{ company_day('orders.judged_at') }} as judged_day,
    {{ company_day('orders.ended_at') }} as ended_day,
    orders.phase not in ('done', 'withdrawn', 'failed') as is_open,
    orders.phase = 'withdrawn' as is_withdrawn,
    orders.phase = 'done' as is_done,
    orders.phase = 'failed' as is_failed,
    orders.phase = 'blocked' as is_blocked,
    helped.work_id is null and orders.phase not in ('blocked', 'failed') as is_automatic,
    case
        when orders.judged_at is not null then coalesce(orders.answered_at <= orders.due_at, false)
    end as is_in_time,
    orders.judged_at is not null and not coalesce(orders.answered_at <= orders.due_at, false) as is_breach,
    orders.judged_at is not null and orders.answered_at is null and orders.phase not in ('failed', 'withdrawn')
        as is_overdue,
    case
        when orders.judged_at is not null and not coalesce(orders.answered_at <= orders.due_at, false)
            then round(extract(epoch from coalesce(orders.answered_at, {{ as_of() }}) - orders.due_at) / 3600, 6)
    end as hours_late,
    case
        when orders.phase = 'queued'
            then round(extract(epoch from {{ as_of() }} - orders.queued_at) / 3600, 6)
    end as hours_waiting,
    round(extract(epoch from taken.started_at - orders.received_at), 3) as pickup_seconds,
    round(extract(epoch from orders.answered_at - orders.started_at) / 3600, 6) as processing_hours,
    round(extract(epoch from orders.answered_at - orders.received_at) / 3600, 6) as answer_hours,
    coalesce(taken.failures, 0) as failures,
    orders.tokens,
    orders.cost * case when {{ company_currency() }} = 'USD' then 1 else fx.rate end as cost
from orders
left join taken on orders.id = taken.work_id
left join helped on orders.id = helped.work_id
left join {{ ref('int_fx_rates') }} as fx
    on
        fx.currency = 'USD'
        and {{ company_day('orders.received_at') }} >= fx.valid_from
        and {{ company_day('orders.received_at') }} < fx.valid_to
