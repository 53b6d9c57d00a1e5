{{ config(
    unique_key='campaign_id',
    scope='campaign_id',
    changed_by={
        'dim_campaigns': 'campaign_id',
        'int_campaign_values': 'campaign_id',
        'int_email_orders': 'campaign_id',
    },
    indexes=[{'columns': ['campaign_id'], 'unique': true}, {'columns': ['sent_day']}],
) }}

with campaigns as (
    select all_campaigns.*
    from {{ ref('dim_campaigns') }} as all_campaigns
    where
        all_campaigns.is_sent
        and {{ in_scope('all_campaigns.campaign_id') }}
),

-- Orders that the shop does not know, such as tests, have no amount and count for nothing.
brought as (
    select
        orders.campaign_id,
        count(*) as orders,
        {{ complete_sum('orders.net_amount_company') }} as revenue
    from {{ ref('int_email_orders') }} as orders
    where
        orders.is_in_shop
        and {{ in_scope('orders.campaign_id') }}
    group by orders.campaign_id
)

select
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.channel,
    campaigns.sent_day,
    campaigns.discount_code,
    campaigns.calendar_status,
    reported.recipients,
    reported.delivered,
    reported.bounced,
    case when campaigns.channel = 'email' then reported.opens end as opens,
    case when campaigns.channel = 'email' then reported.openers end as openers,
    reported.clicks,
    reported.clickers,
    reported.unsubscribers,
    reported.spam_complaints,
    coalesce(brought.orders, 0) as orders,
    case when brought.campaign_id is null then 0 else brought.revenue end as revenue,
    {{ company_currency() }} as currency,
    reported.vendor_orders,
    reported.vendor_revenue,
    case
        when campaigns.channel = 'email'
            then round(reported.openers::numeric / nullif(reported.delivered, 0), 6)
    end as open_rate,
    round(reported.clickers::numeric / nullif(reported.delivered, 0), 6) as click_rate,
    round(reported.unsubscribers::numeric / nullif(reported.delivered, 0), 6) as unsubscribe_rate,
    round(reported.bounced::numeric / nullif(reported.recipients, 0), 6) as bounce_rate,
    round(coalesce(brought.orders, 0)::numeric / nullif(reported.delivered, 0), 6) as order_rate,
    round(
        case when brought.campaign_id is null then 0 else brought.revenue end / nullif(reported.delivered, 0), 4
    ) as revenue_per_message
from campaigns
left join {{ ref('int_campaign_values') }} as reported on campaigns.campaign_id = reported.campaign_id
left join brought on campaigns.campaign_id = brought.campaign_id
