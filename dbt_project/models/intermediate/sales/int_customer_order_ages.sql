{{ config(
    unique_key='order_id',
    scope='customer_id',
    changed_by={'fct_orders': 'customer_id'},
    indexes=[
        {'columns': ['order_id'], 'unique': true},
        {'columns': ['customer_id']},
        {'columns': ['order_month']},
        {'columns': ['first_order_day']},
        {'columns': ['matures_on']},
    ],
) }}

-- Orders of known customers that stand, beside the day on which the customer first bought. An order cancelled later
-- made nobody a customer.
with orders as (
    select
        all_orders.order_id,
        all_orders.customer_id,
        all_orders.sales_day,
        all_orders.net_amount_company,
        min(all_orders.sales_day) over (partition by all_orders.customer_id) as first_order_day,
        row_number() over (
            partition by all_orders.customer_id
            order by all_orders.processed_at, all_orders.order_id
        ) as standing_order_number
    from {{ ref('fct_orders') }} as all_orders
    where
        all_orders.cancelled_at is null
        and {{ in_scope('all_orders.customer_id') }}
)

select
    orders.order_id,
    orders.customer_id,
    orders.sales_day,
    date_trunc('month', orders.sales_day::timestamp)::date as order_month,
    orders.first_order_day,
    date_trunc('month', orders.first_order_day::timestamp)::date as cohort_month,
    -- The last of the customer's first ninety days.
    orders.first_order_day + 89 as matures_on,
    orders.sales_day - orders.first_order_day as age_days,
    orders.standing_order_number,
    orders.net_amount_company
from orders
