{{ config(
    unique_key=['date', 'channel'],
    scope='date',
    changed_by={
        'fct_campaigns': 'sent_day',
        'int_email_days': 'date',
        'int_email_orders': 'sales_day',
        'dim_campaigns': 'since sent_day',
    },
    indexes=[{'columns': ['date', 'channel'], 'unique': true}],
) }}

-- Three views of a day: the campaigns sent on it and what became of them since, what happened on it to messages of all
-- kinds, and the orders placed on it that a message is credited with. What a flow sends is e-mail.
with sent as (
    select
        campaigns.sent_day as date,
        campaigns.channel,
        count(*) as campaigns_sent,
        {{ complete_sum('campaigns.recipients') }}::bigint as campaign_recipients,
        {{ complete_sum('campaigns.delivered') }}::bigint as campaign_delivered,
        {{ complete_sum('campaigns.openers') }}::bigint as campaign_openers,
        {{ complete_sum('campaigns.clickers') }}::bigint as campaign_clickers,
        {{ complete_sum('campaigns.unsubscribers') }}::bigint as campaign_unsubscribers
    from {{ ref('fct_campaigns') }} as campaigns
    where {{ in_scope('campaigns.sent_day') }}
    group by campaigns.sent_day, campaigns.channel
),

happened as (
    select days.*
    from {{ ref('int_email_days') }} as days
    where {{ in_scope('days.date') }}
),

ordered as (
    select
        orders.sales_day as date,
        coalesce(campaigns.channel, 'email') as channel,
        count(*) as orders,
        count(*) filter (where orders.campaign_id is not null) as campaign_orders,
        {{ complete_sum('orders.net_amount_company') }} as revenue,
        -- Nothing of a campaign is zero; something of unknown amount stays NULL.
        case
            when count(*) filter (where orders.campaign_id is not null and orders.net_amount_company is null) = 0
                then coalesce(sum(orders.net_amount_company) filter (where orders.campaign_id is not null), 0)
        end as campaign_revenue
    from {{ ref('int_email_orders') }} as orders
    left join {{ ref('dim_campaigns') }} as campaigns on orders.campaign_id = campaigns.campaign_id
    where
        orders.is_attributed
        and orders.is_in_shop
        and {{ in_scope('orders.sales_day') }}
    group by orders.sales_day, coalesce(campaigns.channel, 'email')
),

keys as (
    select
        sent.date,
        sent.channel
    from sent
    union
    select
        happened.date,
        happened.channel
    from happened
    union
    select
        ordered.date,
        ordered.channel
    from ordered
)

select
    keys.date,
    keys.channel,
    coalesce(sent.campaigns_sent, 0) as campaigns_sent,
    case when sent.date is null then 0 else sent.campaign_recipients end as campaign_recipients,
    case when sent.date is null then 0 else sent.campaign_delivered end as campaign_delivered,
    case when sent.date is null then 0 else sent.campaign_openers end as campaign_openers,
    case when sent.date is null then 0 else sent.campaign_clickers end as campaign_clickers,
    case when sent.date is null then 0 else sent.campaign_unsubscribers end as campaign_unsubscribers,
    happened.messages_received,
    happened.opens,
    happened.clicks,
    happened.unsubscribes,
    coalesce(ordered.orders, 0) as orders,
    coalesce(ordered.campaign_orders, 0) as campaign_orders,
    coalesce(ordered.orders - ordered.campaign_orders, 0) as flow_orders,
    case when ordered.date is null then 0 else ordered.revenue end as revenue,
    case when ordered.date is null then 0 else ordered.campaign_revenue end as campaign_revenue,
    case when ordered.date is null then 0 else ordered.revenue - ordered.campaign_revenue end as flow_revenue,
    {{ company_currency() }} as currency
from keys
left join sent on keys.date = sent.date and keys.channel = sent.channel
left join happened on keys.date = happened.date and keys.channel = happened.channel
left join ordered on keys.date = ordered.date and keys.channel = ordered.channel
