{{ config(
    unique_key=['date', 'channel'],
    scope='date',
    changed_by={'stg_klaviyo__metric_days': 'day'},
    indexes=[{'columns': ['date', 'channel'], 'unique': true}],
) }}

-- What happened to messages of all kinds on a day of the mail account, flows and campaigns together.
select
    days.day as date,
    kinds.channel,
    sum(days.event_count) filter (where kinds.happening = 'received')::bigint as messages_received,
    sum(days.event_count) filter (where kinds.happening = 'opened')::bigint as opens,
    sum(days.event_count) filter (where kinds.happening = 'clicked')::bigint as clicks,
    sum(days.event_count) filter (where kinds.happening = 'unsubscribed')::bigint as unsubscribes
from {{ ref('stg_klaviyo__metric_days') }} as days
inner join {{ ref('message_happenings') }} as kinds on days.metric_name = kinds.metric_name
where {{ in_scope('days.day') }}
group by days.day, kinds.channel
