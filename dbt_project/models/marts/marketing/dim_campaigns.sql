{{ config(
    unique_key='campaign_id',
    indexes=[{'columns': ['campaign_id'], 'unique': true}],
) }}

-- Campaigns of the mail system, with the discount code that their subject names and their place in the content
-- calendar: where several entries bear a campaign's name, the one nearest to its sending.
with campaigns as (
    select
        all_campaigns.*,
        {{ company_day('all_campaigns.send_at') }} as send_day
    from {{ ref('stg_klaviyo__campaigns') }} as all_campaigns
),

messages as (
    select distinct on (all_messages.campaign_id)
        all_messages.campaign_id,
        all_messages.subject
    from {{ ref('stg_klaviyo__campaign_messages') }} as all_messages
    order by all_messages.campaign_id, all_messages.campaign_message_id
),

codes as (
    select distinct upper(each_code.code) as code
    from {{ ref('stg_shopify__discounts') }} as discounts
    cross join unnest(discounts.codes) as each_code (code)
),

entries as (
    select
        calendar.campaign,
        calendar.content_entry_id,
        calendar.publish_at,
        {{ company_day('calendar.publish_at') }} as publish_day
    from {{ ref('stg_airtable__content_calendar') }} as calendar
),

-- A calendar that nobody keeps, or that is not connected, says nothing of any campaign.
calendar_days as (
    select min(entries.publish_day) as first_day
    from entries
)

select
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.channel,
    campaigns.status,
    campaigns.is_sent,
    campaigns.is_archived,
    campaigns.created_at,
    campaigns.send_at,
    case when campaigns.is_sent then campaigns.send_day end as sent_day,
    messages.subject,
    cardinality(campaigns.audience_ids) as audiences,
    (
        select codes.code
        from codes
        where codes.code = any(regexp_split_to_array(upper(messages.subject), '[^[:alnum:]_-]+'))
        order by length(codes.code) desc, codes.code
        limit 1
    ) as discount_code,
    entry.content_entry_id,
    entry.publish_day as calendar_day,
    case
        when not campaigns.is_sent or campaigns.send_day is null then null
        when campaigns.send_day < calendar_days.first_day or calendar_days.first_day is null then null
        when entry.content_entry_id is null then 'missing'
        when entry.publish_day = campaigns.send_day then 'listed'
        else 'misdated'
    end as calendar_status
from campaigns
cross join calendar_days
left join messages on campaigns.campaign_id = messages.campaign_id
left join lateral (
    select
        entries.content_entry_id,
        entries.publish_day
    from entries
    where entries.campaign = campaigns.campaign_name
    order by abs(extract(epoch from entries.publish_at - campaigns.send_at)) nulls last, entries.content_entry_id
    limit 1
) as entry on true
