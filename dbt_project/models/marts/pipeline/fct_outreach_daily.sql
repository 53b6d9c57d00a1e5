{{ config(
    unique_key=['date', 'owner_id'],
    scope='date',
    changed_by={'int_outreach': 'date'},
    indexes=[{'columns': ['date', 'owner_id'], 'unique': true}],
) }}

-- A reply counts on the day it came and for whom it came to; which e-mail it answers is not told.
select
    outreach.date,
    coalesce(outreach.owner_id, 'none') as owner_id,
    count(*) filter (where outreach.kind = 'email' and not outreach.is_failed) as emails_sent,
    count(*) filter (where outreach.kind = 'email' and outreach.is_failed) as emails_bounced,
    count(*) filter (where outreach.kind = 'reply') as replies,
    count(*) filter (where outreach.kind = 'call' and not outreach.is_failed) as calls_made,
    count(*) filter (where outreach.kind = 'call' and outreach.is_reached) as calls_reached
from {{ ref('int_outreach') }} as outreach
where {{ in_scope('outreach.date') }}
group by outreach.date, coalesce(outreach.owner_id, 'none')
