{{ config(
    unique_key=['date', 'category', 'priority'],
    scope='date',
    changed_by={'int_app_tickets': 'opened_day'},
    indexes=[{'columns': ['date', 'category', 'priority'], 'unique': true}],
) }}

select
    tickets.opened_day as date,
    tickets.category,
    tickets.priority,
    count(*) as opened
from {{ ref('int_app_tickets') }} as tickets
where {{ in_scope('tickets.opened_day') }}
group by tickets.opened_day, tickets.category, tickets.priority
