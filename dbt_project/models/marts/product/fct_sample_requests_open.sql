{{ config(
    unique_key='sample_request_id',
    indexes=[{'columns': ['sample_request_id'], 'unique': true}],
) }}

select
    samples.sample_request_id,
    samples.reference,
    samples.company_name,
    samples.sku,
    samples.quantity,
    samples.status,
    samples.requested_on,
    samples.due_on,
    {{ as_of_day() }} - samples.requested_on as days_open,
    coalesce(samples.due_on < {{ as_of_day() }}, false) as is_overdue,
    case when samples.due_on < {{ as_of_day() }} then {{ as_of_day() }} - samples.due_on end as days_overdue,
    samples.owner,
    samples.is_unowned
from {{ ref('int_sample_requests') }} as samples
where samples.is_open
