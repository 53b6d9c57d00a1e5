{{ config(
    unique_key='order_id',
    scope='order_id',
    changed_by={
        'int_orders': 'order_id',
        'fct_order_lines': 'order_id',
        'stg_shopify__refunds': 'order_id',
        'stg_shopify__fulfilments': 'order_id',
    },
    indexes=[
        {'columns': ['order_id'], 'unique': true},
        {'columns': ['sales_day']},
        {'columns': ['cancelled_day']},
        {'columns': ['ship_day']},
        {'columns': ['order_name']},
        {'columns': ['customer_id']},
    ],
) }}

with orders as (
    select all_orders.*
    from {{ ref('int_orders') }} as all_orders
    where {{ in_scope('all_orders.order_id') }}
),

lines as (
    select
        order_lines.order_id,
        sum(order_lines.quantity)::bigint as units,
        count(*) filter (where order_lines.is_return) as returned_lines,
        count(*) filter (where order_lines.is_unpriced) as unpriced_lines,
        {{ complete_sum('order_lines.gross_amount') }} as gross_amount,
        {{ complete_sum('order_lines.discount_amount') }} as discount_amount,
        {{ complete_sum('order_lines.net_amount') }} as net_amount,
        {{ complete_sum('order_lines.gift_card_amount') }} as gift_card_amount
    from {{ ref('fct_order_lines') }} as order_lines
    where {{ in_scope('order_lines.order_id') }}
    group by order_lines.order_id
),

refunds as (
    select
        all_refunds.order_id,
        max(all_refunds.processed_at) as last_refund_at
    from {{ ref('stg_shopify__refunds') }} as all_refunds
    where {{ in_scope('all_refunds.order_id') }}
    group by all_refunds.order_id
),

shipments as (
    select
        fulfilments.order_id,
        min(fulfilments.created_at) as first_shipped_at,
        max(fulfilments.created_at) as last_shipped_at
    from {{ ref('stg_shopify__fulfilments') }} as fulfilments
    where
        fulfilments.status = 'SUCCESS'
        and {{ in_scope('fulfilments.order_id') }}
    group by fulfilments.order_id
),

timed as (
    select
        orders.*,
        shipments.first_shipped_at as shipped_at,
        refunds.last_refund_at,
        case
            when orders.fulfilment_status = 'FULFILLED'
                then coalesce(shipments.last_shipped_at, orders.closed_at, orders.processed_at)
        end as fulfilled_at
    from orders
    left join shipments on orders.order_id = shipments.order_id
    left join refunds on orders.order_id = refunds.order_id
),

ended as (
    select
        timed.*,
        -- When the order stopped waiting to be shipped, for whatever reason comes first.
        least(
            timed.fulfilled_at,
            timed.cancelled_at,
            case
                when timed.financial_status in ('REFUNDED', 'VOIDED', 'EXPIRED')
                    then coalesce(timed.last_refund_at, timed.closed_at, timed.updated_at)
            end,
            case when timed.fulfilment_status = 'RESTOCKED' then coalesce(timed.closed_at, timed.updated_at) end,
            case when timed.fulfilment_status = 'FULFILLMENT_NOT_REQUIRED' then timed.processed_at end
        ) as settled_at
    from timed
)

select
    ended.order_id,
    ended.order_name,
    ended.sales_day,
    ended.created_at,
    ended.processed_at,
    ended.updated_at,
    ended.cancelled_at,
    ended.cancelled_day,
    ended.cancel_reason,
    ended.channel,
    ended.country,
    ended.customer_id,
    ended.financial_status,
    ended.fulfilment_status,
    ended.is_custom,
    ended.line_count,
    coalesce(lines.units, 0) as units,
    coalesce(lines.returned_lines, 0) as returned_lines,
    coalesce(lines.unpriced_lines, 0) as unpriced_lines,
    ended.currency,
    ended.fx_rate,
    case when ended.line_count = 0 then 0 else lines.gross_amount end as gross_amount,
    case when ended.line_count = 0 then 0 else lines.discount_amount end as discount_amount,
    case when ended.line_count = 0 then 0 else lines.net_amount end as net_amount,
    ended.total_amount,
    case when ended.line_count = 0 then 0 else lines.gross_amount * ended.fx_rate end as gross_amount_company,
    case when ended.line_count = 0 then 0 else lines.discount_amount * ended.fx_rate end as discount_amount_company,
    case when ended.line_count = 0 then 0 else lines.net_amount * ended.fx_rate end as net_amount_company,
    case when ended.line_count = 0 then 0 else lines.gift_card_amount * ended.fx_rate end as gift_card_amount_company,
    ended.total_amount * ended.fx_rate as total_amount_company,
    ended.shipped_at,
    {{ company_day('ended.shipped_at') }} as ship_day,
    round(extract(epoch from ended.shipped_at - ended.processed_at) / 3600, 4) as order_to_ship_hours,
    ended.fulfilled_at,
    ended.settled_at,
    {{ company_day('ended.processed_at') }} as opened_day,
    {{ company_day('ended.settled_at') }} as settled_day
from ended
left join lines on ended.order_id = lines.order_id
