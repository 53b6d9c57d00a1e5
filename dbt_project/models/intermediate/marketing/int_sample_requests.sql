{{ config(
    unique_key='sample_request_id',
    indexes=[{'columns': ['sample_request_id'], 'unique': true}, {'columns': ['open_from']}],
) }}

-- Sample requests with the days on which they were open. One that is closed without a day of shipment is left out of
-- the days: nobody knows when it ended.
with requests as (
    select
        samples.*,
        coalesce(statuses.state, 'open') as state,
        coalesce(samples.requested_on, {{ company_day('samples.created_at') }}) as asked_on
    from {{ ref('stg_airtable__sample_requests') }} as samples
    left join {{ ref('work_statuses') }} as statuses
        on
            statuses.entity = 'sample_requests'
            and lower(samples.status) = statuses.status
)

select
    requests.sample_request_id,
    requests.reference,
    requests.company_name,
    requests.sku,
    requests.quantity,
    requests.status,
    split_part(requests.owner_name, ' ', 1) as owner,
    requests.owner_email is null and requests.owner_name is null as is_unowned,
    requests.asked_on as requested_on,
    requests.due_on,
    requests.shipped_on,
    requests.shipped_on is null and requests.state = 'open' as is_open,
    case when requests.shipped_on is not null or requests.state = 'open' then requests.asked_on end as open_from,
    requests.shipped_on - 1 as open_until
from requests
