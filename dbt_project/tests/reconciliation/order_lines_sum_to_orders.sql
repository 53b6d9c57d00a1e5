{%- set changes = [[ref('fct_order_lines'), 'order_id'], [ref('fct_orders'), 'order_id']] %}
-- The lines of an order sum to the order, in both currencies. Orders that changed since they were last published.
with lines as (
    select
        order_lines.order_id,
        count(*) as line_count,
        sum(order_lines.quantity) as units,
        sum(order_lines.gross_amount) as gross_amount,
        sum(order_lines.net_amount) as net_amount,
        sum(order_lines.net_amount_company) as net_amount_company
    from {{ ref('fct_order_lines') }} as order_lines
    where {{ since_publication('order_lines.order_id', changes) }}
    group by order_lines.order_id
)

select
    orders.order_id,
    orders.net_amount,
    lines.net_amount as lines_net_amount
from {{ ref('fct_orders') }} as orders
left join lines on orders.order_id = lines.order_id
where
    {{ since_publication('orders.order_id', changes) }}
    and (
        orders.line_count <> coalesce(lines.line_count, 0)
        or orders.units <> coalesce(lines.units, 0)
        or orders.gross_amount <> coalesce(lines.gross_amount, 0)
        or orders.net_amount <> coalesce(lines.net_amount, 0)
        or orders.net_amount_company <> coalesce(lines.net_amount_company, 0)
    )
