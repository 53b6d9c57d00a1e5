{{ config(
    unique_key='order_id',
    scope='order_id',
    changed_by={'stg_klaviyo__events': 'shop_order_id', 'fct_orders': 'order_id'},
    indexes=[{'columns': ['order_id'], 'unique': true}, {'columns': ['sales_day']}, {'columns': ['campaign_id']}],
) }}

-- Orders as Klaviyo heard of them, each once however often it was told. The message an order is attributed to is the
-- first one named; what the order is worth is the shop's word: after discounts, without tax and shipping.
with heard as (
    select
        events.shop_order_id as order_id,
        count(*) as event_count,
        min(events.occurred_at) as occurred_at,
        (
            array_agg(events.campaign_id order by events.occurred_at, events.event_id)
            filter (where events.is_attributed)
        )[1] as campaign_id,
        (
            array_agg(events.flow_id order by events.occurred_at, events.event_id)
            filter (where events.is_attributed)
        )[1] as flow_id,
        bool_or(events.is_attributed) as is_attributed
    from {{ ref('stg_klaviyo__events') }} as events
    where
        events.metric_name = 'Placed Order'
        and {{ in_scope('events.shop_order_id') }}
    group by events.shop_order_id
),

orders as (
    select
        shop_orders.order_id,
        shop_orders.sales_day,
        shop_orders.net_amount_company
    from {{ ref('fct_orders') }} as shop_orders
    where {{ in_scope('shop_orders.order_id') }}
)

select
    heard.order_id,
    orders.sales_day,
    heard.occurred_at,
    heard.event_count,
    heard.is_attributed,
    case when heard.is_attributed then heard.campaign_id end as campaign_id,
    case when heard.is_attributed and heard.campaign_id is null then heard.flow_id end as flow_id,
    orders.net_amount_company,
    orders.order_id is not null as is_in_shop
from heard
left join orders on heard.order_id = orders.order_id
