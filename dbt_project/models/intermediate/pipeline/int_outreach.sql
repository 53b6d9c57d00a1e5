{{ config(
    unique_key='outreach_id',
    scope='source_id',
    changed_by={'stg_hubspot__emails': 'email_id', 'stg_hubspot__calls': 'call_id'},
    indexes=[{'columns': ['outreach_id'], 'unique': true}, {'columns': ['source_id']}, {'columns': ['date']}],
) }}

-- What sales wrote, what came back, whom sales called. HubSpot logs as incoming what answers a logged e-mail. An e-mail
-- that is not out yet, or that was passed on, is none of these; a call without a direction counts as made.
select
    'email:' || emails.email_id as outreach_id,
    emails.email_id as source_id,
    case when emails.direction = 'INCOMING_EMAIL' then 'reply' else 'email' end as kind,
    emails.owner_id,
    {{ company_day('emails.happened_at') }} as date,
    coalesce(emails.status in ('BOUNCED', 'FAILED'), false) as is_failed,
    false as is_reached
from {{ ref('stg_hubspot__emails') }} as emails
where
    emails.direction in ('EMAIL', 'INCOMING_EMAIL')
    and coalesce(emails.status, 'SENT') not in ('SCHEDULED', 'SENDING')
    and {{ in_scope('emails.email_id') }}

union all

select
    'call:' || calls.call_id as outreach_id,
    calls.call_id as source_id,
    'call' as kind,
    calls.owner_id,
    {{ company_day('calls.happened_at') }} as date,
    coalesce(calls.status in ('FAILED', 'CANCELED'), false) as is_failed,
    coalesce(outcomes.is_reached, false) as is_reached
from {{ ref('stg_hubspot__calls') }} as calls
left join {{ ref('call_outcomes') }} as outcomes on calls.outcome_id = outcomes.outcome_id
where
    calls.direction is distinct from 'INBOUND'
    and {{ in_scope('calls.call_id') }}
