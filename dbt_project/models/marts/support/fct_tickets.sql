{{ config(
    unique_key='ticket_id',
    scope='ticket_id',
    changed_by={'int_tickets': 'ticket_id'},
    indexes=[
        {'columns': ['ticket_id'], 'unique': true},
        {'columns': ['opened_day']},
        {'columns': ['responded_day']},
        {'columns': ['closed_day']},
    ],
) }}

select
    tickets.ticket_id,
    tickets.system,
    tickets.priority,
    tickets.category,
    tickets.is_open,
    tickets.opened_at,
    tickets.first_response_at,
    tickets.closed_at,
    tickets.opened_day,
    tickets.responded_day,
    tickets.closed_day,
    tickets.first_response_hours,
    tickets.resolution_hours
from {{ ref('int_tickets') }} as tickets
where {{ in_scope('tickets.ticket_id') }}
