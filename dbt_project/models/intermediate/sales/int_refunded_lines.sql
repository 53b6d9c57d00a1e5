{{ config(
    unique_key='refund_line_id',
    scope='order_id',
    changed_by={
        'stg_shopify__refund_lines': 'order_id',
        'fct_refunds': 'order_id',
        'fct_order_lines': 'order_id',
    },
    indexes=[
        {'columns': ['refund_line_id'], 'unique': true},
        {'columns': ['order_id']},
        {'columns': ['date']},
        {'columns': ['sku', 'date']},
    ],
) }}

-- What came back of a SKU, on the day it was paid back, at the price it was sold for. Cancelled orders are no returns.
select
    refund_lines.refund_line_id,
    lines.order_id,
    refunds.refund_day as date,
    lines.sku,
    refund_lines.quantity,
    refund_lines.quantity * lines.net_amount_company / nullif(lines.quantity, 0) as amount
from {{ ref('stg_shopify__refund_lines') }} as refund_lines
inner join {{ ref('fct_refunds') }} as refunds on refund_lines.refund_id = refunds.refund_id
inner join {{ ref('fct_order_lines') }} as lines
    on
        refund_lines.order_id = lines.order_id
        and refund_lines.order_line_id = lines.order_line_id
where
    lines.sku is not null
    and not refunds.is_cancelled
    and not lines.is_gift_card
    and {{ in_scope('refund_lines.order_id') }}
