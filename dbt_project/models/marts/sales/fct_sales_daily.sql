{{ config(
    unique_key=['date', 'channel', 'country'],
    scope='date',
    changed_by={
        'fct_orders': ['sales_day', 'cancelled_day'],
        'fct_refunds': 'refund_day',
        'int_customer_orders': 'sales_day',
    },
    indexes=[{'columns': ['date', 'channel', 'country'], 'unique': true}],
) }}

with placed as (
    select
        orders.sales_day as date,
        orders.channel,
        orders.country,
        count(*) as orders,
        count(orders.customer_id) as orders_with_customer,
        count(*) filter (where numbered.customer_order_number > 1) as repeat_orders,
        count(*) filter (where numbered.customer_order_number = 1) as new_customers,
        sum(orders.line_count)::bigint as order_lines,
        coalesce(sum(orders.line_count) filter (where orders.customer_id is null), 0)::bigint as lines_without_customer,
        sum(orders.returned_lines)::bigint as returned_lines,
        sum(orders.unpriced_lines)::bigint as unpriced_lines,
        sum(orders.units)::bigint as units,
        {{ complete_sum('orders.gross_amount_company') }} as gross_amount,
        {{ complete_sum('orders.discount_amount_company') }} as discount_amount,
        {{ complete_sum('orders.net_amount_company') }} as sales_amount,
        case
            when bool_and(orders.net_amount_company is not null or numbered.customer_order_number is distinct from 1)
                then coalesce(sum(orders.net_amount_company) filter (where numbered.customer_order_number = 1), 0)
        end as new_customer_amount,
        case
            when bool_and(orders.net_amount_company is not null or coalesce(numbered.customer_order_number, 1) = 1)
                then coalesce(sum(orders.net_amount_company) filter (where numbered.customer_order_number > 1), 0)
        end as returning_customer_amount,
        count(*) - count(orders.net_amount_company) as unconverted
    from {{ ref('fct_orders') }} as orders
    left join {{ ref('int_customer_orders') }} as numbered on orders.order_id = numbered.order_id
    where {{ in_scope('orders.sales_day') }}
    group by orders.sales_day, orders.channel, orders.country
),

-- A cancelled order stays on its own day. The cancellation is counted on the day it happened; its money comes
-- back with its refund.
cancelled as (
    select
        orders.cancelled_day as date,
        orders.channel,
        orders.country,
        count(*) as cancelled_orders,
        sum(orders.line_count)::bigint as cancelled_lines
    from {{ ref('fct_orders') }} as orders
    where {{ in_scope('orders.cancelled_day') }}
    group by orders.cancelled_day, orders.channel, orders.country
),

refunded as (
    select
        refunds.refund_day as date,
        refunds.channel,
        refunds.country,
        count(*) as refunds,
        {{ complete_sum('refunds.refund_amount_company') }} as refund_amount,
        count(*) - count(refunds.refund_amount_company) as unconverted
    from {{ ref('fct_refunds') }} as refunds
    where {{ in_scope('refunds.refund_day') }}
    group by refunds.refund_day, refunds.channel, refunds.country
),

days as (
    select
        coalesce(placed.date, cancelled.date, refunded.date) as date,
        coalesce(placed.channel, cancelled.channel, refunded.channel) as channel,
        coalesce(placed.country, cancelled.country, refunded.country) as country,
        coalesce(placed.orders, 0) as orders,
        coalesce(placed.orders_with_customer, 0) as orders_with_customer,
        coalesce(placed.repeat_orders, 0) as repeat_orders,
        coalesce(placed.new_customers, 0) as new_customers,
        coalesce(placed.order_lines, 0) as order_lines,
        coalesce(placed.lines_without_customer, 0) as lines_without_customer,
        coalesce(placed.returned_lines, 0) as returned_lines,
        coalesce(placed.unpriced_lines, 0) as unpriced_lines,
        coalesce(cancelled.cancelled_orders, 0) as cancelled_orders,
        coalesce(cancelled.cancelled_lines, 0) as cancelled_lines,
        coalesce(placed.units, 0) as units,
        -- Nothing on the day is zero; something of unknown amount stays NULL.
        case when placed.date is null then 0 else placed.gross_amount end as gross_amount,
        case when placed.date is null then 0 else placed.discount_amount end as discount_amount,
        case when placed.date is null then 0 else placed.sales_amount end as sales_amount,
        case when placed.date is null then 0 else placed.new_customer_amount end as new_customer_amount,
        case when placed.date is null then 0 else placed.returning_customer_amount end as returning_customer_amount,
        coalesce(refunded.refunds, 0) as refunds,
        case when refunded.date is null then 0 else refunded.refund_amount end as refund_amount,
        coalesce(placed.unconverted, 0) + coalesce(refunded.unconverted, 0) as unconverted
    from placed
    full outer join cancelled
        on
            placed.date = cancelled.date
            and placed.channel = cancelled.channel
            and placed.country = cancelled.country
    full outer join refunded
        on
            coalesce(placed.date, cancelled.date) = refunded.date
            and coalesce(placed.channel, cancelled.channel) = refunded.channel
            and coalesce(placed.country, cancelled.country) = refunded.country
)

select
    days.date,
    days.channel,
    days.country,
    coalesce(countries.country_name, days.country) as country_name,
    {{ company_currency() }} as currency,
    days.orders,
    days.orders_with_customer,
    days.repeat_orders,
    days.new_customers,
    days.order_lines,
    days.lines_without_customer,
    days.returned_lines,
    days.unpriced_lines,
    days.cancelled_orders,
    days.cancelled_lines,
    days.units,
    days.gross_amount,
    days.discount_amount,
    days.sales_amount,
    days.new_customer_amount,
    days.returning_customer_amount,
    days.refunds,
    days.refund_amount,
    days.sales_amount - days.refund_amount as net_amount,
    days.unconverted
from days
left join {{ ref('country_names') }} as countries on days.country = countries.country
