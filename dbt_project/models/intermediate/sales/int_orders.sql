{{ config(
    unique_key='order_id',
    scope='order_id',
    changed_by={'stg_shopify__orders': 'order_id'},
    indexes=[{'columns': ['order_id'], 'unique': true}],
) }}

with orders as (
    select
        shop_orders.*,
        {{ shop_day('shop_orders.processed_at') }} as sales_day,
        {{ shop_day('shop_orders.cancelled_at') }} as cancelled_day
    from {{ ref('stg_shopify__orders') }} as shop_orders
    where
        not shop_orders.is_test
        and {{ in_scope('shop_orders.order_id') }}
)

select
    orders.order_id,
    orders.order_name,
    orders.created_at,
    orders.processed_at,
    orders.updated_at,
    orders.cancelled_at,
    orders.closed_at,
    orders.sales_day,
    orders.cancelled_day,
    orders.cancel_reason,
    coalesce(channels.channel, 'other') as channel,
    coalesce(orders.shipping_country, orders.billing_country, 'unknown') as country,
    orders.customer_id,
    orders.financial_status,
    orders.fulfilment_status,
    orders.is_tax_included,
    array_to_string(orders.discount_codes, E'\n') as discount_codes,
    coalesce(
        (
            select bool_or(lower(tag) = any('{ {{- var("custom_order_tags") | join(",") -}} }'::text[]))
            from unnest(orders.tags) as tag
        ),
        false
    ) as is_custom,
    orders.currency,
    case when orders.currency = {{ company_currency() }} then 1 else fx.rate end as fx_rate,
    orders.total_amount,
    orders.total_tax_amount,
    orders.total_shipping_amount,
    orders.line_count,
    orders.refund_count,
    orders.fulfilment_count
from orders
left join {{ ref('int_fx_rates') }} as fx
    on
        orders.currency = fx.currency
        and orders.sales_day >= fx.valid_from
        and orders.sales_day < fx.valid_to
left join lateral (
    select rules.channel
    from {{ ref('channel_rules') }} as rules
    where
        (rules.field = 'tag' and rules.value in (select lower(tag) from unnest(orders.tags) as tag))
        or (rules.field = 'source' and rules.value = lower(orders.source_name))
    order by rules.priority
    limit 1
) as channels on true
