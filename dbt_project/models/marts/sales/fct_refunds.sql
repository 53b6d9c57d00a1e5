{{ config(
    unique_key='refund_id',
    scope='order_id',
    changed_by={
        'stg_shopify__refunds': 'order_id',
        'stg_shopify__refund_lines': 'order_id',
        'stg_shopify__order_lines': 'order_id',
        'int_orders': 'order_id',
    },
    indexes=[
        {'columns': ['refund_id'], 'unique': true},
        {'columns': ['refund_day']},
        {'columns': ['order_id']},
        {'columns': ['customer_id']},
    ],
) }}

-- What is paid back for a gift card was never a sale.
with counted as (
    select
        lines.refund_id,
        case when sold.is_gift_card then 0 else lines.quantity end as quantity,
        case when sold.is_gift_card then 0 else lines.subtotal_amount end as subtotal_amount,
        case when sold.is_gift_card then 0 else lines.tax_amount end as tax_amount
    from {{ ref('stg_shopify__refund_lines') }} as lines
    left join {{ ref('stg_shopify__order_lines') }} as sold
        on
            lines.order_id = sold.order_id
            and lines.order_line_id = sold.order_line_id
    where {{ in_scope('lines.order_id') }}
),

refund_lines as (
    select
        counted.refund_id,
        sum(counted.quantity)::bigint as quantity,
        {{ complete_sum('counted.subtotal_amount') }} as subtotal_amount,
        {{ complete_sum('counted.tax_amount') }} as tax_amount
    from counted
    group by counted.refund_id
),

refunds as (
    select
        shop_refunds.refund_id,
        orders.order_id,
        orders.order_name,
        orders.channel,
        orders.country,
        orders.customer_id,
        orders.currency,
        orders.cancelled_at is not null as is_cancelled,
        shop_refunds.processed_at,
        {{ shop_day('shop_refunds.processed_at') }} as refund_day,
        shop_refunds.refund_line_count,
        coalesce(refund_lines.quantity, 0) as quantity,
        case
            when shop_refunds.refund_line_count = 0 then 0
            else
                refund_lines.subtotal_amount
                - case when orders.is_tax_included then refund_lines.tax_amount else 0 end
        end as lines_amount,
        shop_refunds.adjustment_amount,
        shop_refunds.total_refunded_amount
    from {{ ref('stg_shopify__refunds') }} as shop_refunds
    inner join {{ ref('int_orders') }} as orders on shop_refunds.order_id = orders.order_id
    left join refund_lines on shop_refunds.refund_id = refund_lines.refund_id
    where {{ in_scope('orders.order_id') }}
)

select
    refunds.refund_id,
    refunds.order_id,
    refunds.order_name,
    refunds.refund_day,
    refunds.processed_at,
    refunds.channel,
    refunds.country,
    refunds.customer_id,
    refunds.is_cancelled,
    refunds.refund_line_count,
    refunds.quantity,
    refunds.lines_amount,
    refunds.adjustment_amount,
    refunds.lines_amount + refunds.adjustment_amount as refund_amount,
    refunds.total_refunded_amount,
    refunds.currency,
    (refunds.lines_amount + refunds.adjustment_amount)
    * case when refunds.currency = {{ company_currency() }} then 1 else fx.rate end as refund_amount_company
from refunds
left join {{ ref('int_fx_rates') }} as fx
    on
        refunds.currency = fx.currency
        and refunds.refund_day >= fx.valid_from
        and refunds.refund_day < fx.valid_to
