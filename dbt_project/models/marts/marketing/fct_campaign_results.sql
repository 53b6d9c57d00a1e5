{{ config(
    unique_key='campaign_id',
    indexes=[{'columns': ['campaign_id'], 'unique': true}, {'columns': ['judged_day']}],
) }}

-- Campaigns of the last weeks against the usual ones of their kind: the middle of those sent in the quarter before. A
-- campaign is judged once it has settled, for orders come in over days. A winner and a loser are off by a share that
-- matters and by more orders than chance brings.
with campaigns as (
    select
        sent.*,
        sent.sent_day + {{ threshold('campaign_settle_days', 3) }}::integer as judged_day
    from {{ ref('fct_campaigns') }} as sent
    where
        sent.delivered > 0
        and sent.revenue is not null
),

judged as (
    select
        campaigns.*,
        usual.campaigns as compared_with,
        usual.revenue_per_message as usual_revenue_per_message,
        usual.order_rate * campaigns.delivered as expected_orders,
        campaigns.revenue / nullif(usual.revenue_per_message * campaigns.delivered, 0) as factor
    from campaigns
    left join lateral (
        select
            count(*) as campaigns,
            percentile_cont(0.5) within group (order by earlier.revenue_per_message)::numeric as revenue_per_message,
            percentile_cont(0.5) within group (order by earlier.order_rate)::numeric as order_rate
        from campaigns as earlier
        where
            earlier.channel = campaigns.channel
            and earlier.judged_day <= campaigns.sent_day
            and earlier.sent_day >= campaigns.sent_day - 90
    ) as usual on usual.campaigns >= 5
    where
        campaigns.judged_day <= {{ as_of_day() }}
        and campaigns.sent_day >= {{ as_of_day() }} - 35
)

select
    judged.campaign_id,
    judged.campaign_name,
    judged.channel,
    judged.sent_day,
    judged.judged_day,
    judged.delivered,
    judged.orders,
    round(judged.expected_orders, 1) as expected_orders,
    judged.revenue,
    round(judged.usual_revenue_per_message * judged.delivered, 2) as expected_revenue,
    judged.currency,
    round(judged.factor, 4) as factor,
    judged.open_rate,
    judged.click_rate,
    judged.unsubscribe_rate,
    judged.discount_code,
    case
        when judged.factor is null then null
        when
            judged.factor >= 1 + {{ threshold('campaign_band_share', 0.5) }}
            and judged.orders - judged.expected_orders
            >= {{ threshold('campaign_surprise', 2) }} * sqrt(judged.expected_orders) then 'winner'
        when
            judged.factor <= 1 - {{ threshold('campaign_band_share', 0.5) }}
            and judged.expected_orders - judged.orders
            >= {{ threshold('campaign_surprise', 2) }} * sqrt(judged.expected_orders) then 'loser'
        else 'usual'
    end as verdict
from judged
