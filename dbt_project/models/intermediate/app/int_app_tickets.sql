{{ config(
    unique_key='ticket_id',
    scope='ticket_id',
    changed_by={'stg_app__tickets': 'ticket_id'},
    indexes=[{'columns': ['ticket_id'], 'unique': true}, {'columns': ['opened_day']}],
) }}

select
    tickets.ticket_id,
    {{ company_day('tickets.created_at') }} as opened_day,
    coalesce(lower(tickets.category), 'none') as category,
    coalesce(tickets.priority, 'none') as priority
from {{ ref('stg_app__tickets') }} as tickets
where {{ in_scope('tickets.ticket_id') }}
