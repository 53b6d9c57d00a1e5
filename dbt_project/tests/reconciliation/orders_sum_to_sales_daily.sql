-- Orders and refunds sum to the daily sales, over everything; and net is sales less refunds.
with daily as (
    select
        sum(sales.orders) as orders,
        sum(sales.order_lines) as order_lines,
        sum(sales.sales_amount) as sales_amount,
        sum(sales.refund_amount) as refund_amount,
        sum(sales.net_amount) as net_amount,
        sum(sales.cancelled_orders) as cancelled_orders,
        sum(sales.new_customers) as new_customers,
        sum(sales.unconverted) as unconverted
    from {{ ref('fct_sales_daily') }} as sales
),

placed as (
    select
        count(*) as orders,
        sum(orders.line_count) as order_lines,
        sum(orders.net_amount_company) as sales_amount,
        count(orders.cancelled_day) as cancelled_orders,
        count(distinct orders.customer_id) as customers
    from {{ ref('fct_orders') }} as orders
),

refunded as (
    select coalesce(sum(refunds.refund_amount_company), 0) as refund_amount
    from {{ ref('fct_refunds') }} as refunds
)

select
    daily.*,
    placed.sales_amount as orders_amount,
    refunded.refund_amount as refunds_amount
from daily
cross join placed
cross join refunded
where
    daily.orders <> placed.orders
    or daily.order_lines <> placed.order_lines
    or daily.cancelled_orders <> placed.cancelled_orders
    or daily.new_customers <> placed.customers
    or (
        daily.unconverted = 0
        and (
            daily.sales_amount <> placed.sales_amount
            or daily.refund_amount <> refunded.refund_amount
            or daily.net_amount <> placed.sales_amount - refunded.refund_amount
        )
    )
