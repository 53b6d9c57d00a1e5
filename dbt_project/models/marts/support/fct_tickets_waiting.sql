{{ config(
    unique_key='ticket_id',
    indexes=[{'columns': ['ticket_id'], 'unique': true}, {'columns': ['urgency']}],
) }}

-- Open tickets that nobody has answered, with how urgent each is and whose it is. What customers wrote stays behind.
with waiting as (
    select
        tickets.*,
        round(extract(epoch from {{ as_of() }} - tickets.opened_at)::numeric / 3600, 2) as hours_waiting
    from {{ ref('fct_tickets') }} as tickets
    where
        tickets.is_open
        and tickets.first_response_at is null
        and tickets.opened_at <= {{ as_of() }}
)

select
    waiting.ticket_id,
    split_part(waiting.ticket_id, ':', 2) as ticket_number,
    waiting.system,
    waiting.priority,
    waiting.category,
    waiting.opened_at,
    waiting.opened_day,
    waiting.hours_waiting,
    case
        when
            waiting.priority = 'urgent'
            or (
                waiting.priority = 'high'
                and waiting.hours_waiting > {{ threshold('ticket_high_hours', 8) }}
            )
            then 'urgent'
        when waiting.priority = 'high' or waiting.hours_waiting > {{ threshold('ticket_answer_hours', 24) }} then 'soon'
        else 'in_turn'
    end as urgency,
    coalesce(queues.division, 'customer_support') as division,
    coalesce(queues.queue, 'Customer Support') as queue
from waiting
left join {{ ref('ticket_queues') }} as queues on waiting.category = queues.category
