{{ config(
    unique_key=['order_id', 'line_number'],
    scope='order_id',
    changed_by={'int_orders': 'order_id', 'stg_shopify__order_lines': 'order_id'},
    indexes=[{'columns': ['order_id', 'line_number'], 'unique': true}, {'columns': ['sku', 'sales_day']}, {'columns': ['sales_day']}],
) }}

-- A gift card is no sale: what is paid for it is owed until it is redeemed, and then it pays for a sale.
with sold as (
    select
        order_lines.order_line_id,
        order_lines.order_id,
        order_lines.line_number,
        order_lines.title,
        order_lines.sku,
        order_lines.product_id,
        order_lines.variant_id,
        order_lines.unit_price,
        order_lines.is_gift_card,
        order_lines.quantity < 0 as is_return,
        case when order_lines.is_gift_card then 0 else order_lines.quantity end as quantity,
        case when order_lines.is_gift_card then 0 else order_lines.gross_amount end as gross_amount,
        case when order_lines.is_gift_card then 0 else order_lines.discount_amount end as discount_amount,
        case when order_lines.is_gift_card then 0 else order_lines.tax_amount end as tax_amount,
        case
            when order_lines.is_gift_card then order_lines.gross_amount - order_lines.discount_amount
            else 0
        end as gift_card_amount
    from {{ ref('stg_shopify__order_lines') }} as order_lines
    where {{ in_scope('order_lines.order_id') }}
),

lines as (
    select
        order_lines.*,
        orders.order_name,
        orders.sales_day,
        orders.processed_at,
        orders.channel,
        orders.country,
        orders.customer_id,
        orders.currency,
        orders.fx_rate,
        orders.cancelled_at is not null as is_cancelled,
        -- Sales are without tax: where prices include it, it is taken out of the line.
        order_lines.gross_amount
        - order_lines.discount_amount
        - case when orders.is_tax_included then order_lines.tax_amount else 0 end as net_amount
    from {{ ref('int_orders') }} as orders
    inner join sold as order_lines on orders.order_id = order_lines.order_id
    where {{ in_scope('orders.order_id') }}
)

select
    lines.order_line_id,
    lines.order_id,
    lines.order_name,
    lines.line_number,
    lines.sales_day,
    lines.processed_at,
    lines.channel,
    lines.country,
    lines.customer_id,
    lines.sku,
    lines.title,
    lines.product_id,
    lines.variant_id,
    lines.quantity,
    lines.unit_price,
    lines.gross_amount,
    lines.discount_amount,
    lines.net_amount,
    lines.currency,
    lines.gross_amount * lines.fx_rate as gross_amount_company,
    lines.discount_amount * lines.fx_rate as discount_amount_company,
    lines.net_amount * lines.fx_rate as net_amount_company,
    lines.is_cancelled,
    lines.is_return,
    lines.unit_price <= 0 as is_unpriced,
    lines.is_gift_card,
    lines.gift_card_amount
from lines
