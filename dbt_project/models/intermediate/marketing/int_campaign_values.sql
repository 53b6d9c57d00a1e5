{{ config(
    unique_key='campaign_id',
    indexes=[{'columns': ['campaign_id'], 'unique': true}],
) }}

-- What Klaviyo reports of each campaign since it was sent: its messages together.
select
    reported.campaign_id,
    sum(reported.recipient_count)::bigint as recipients,
    sum(reported.delivered_count)::bigint as delivered,
    sum(reported.bounced_count)::bigint as bounced,
    sum(reported.open_count)::bigint as opens,
    sum(reported.opened_by_count)::bigint as openers,
    sum(reported.click_count)::bigint as clicks,
    sum(reported.clicked_by_count)::bigint as clickers,
    sum(reported.unsubscribed_count)::bigint as unsubscribers,
    sum(reported.spam_complaint_count)::bigint as spam_complaints,
    sum(reported.conversion_count)::bigint as vendor_orders,
    {{ complete_sum('reported.conversion_amount') }} as vendor_revenue
from {{ ref('stg_klaviyo__campaign_values') }} as reported
where reported.campaign_id is not null
group by reported.campaign_id
