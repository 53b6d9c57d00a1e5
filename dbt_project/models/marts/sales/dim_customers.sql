{{ config(
    unique_key='customer_id',
    scope='customer_id',
    changed_by={'stg_shopify__customers': 'customer_id', 'fct_orders': 'customer_id', 'fct_refunds': 'customer_id'},
    indexes=[{'columns': ['customer_id'], 'unique': true}],
) }}

with bought as (
    select
        orders.customer_id,
        min(orders.sales_day) as first_order_day,
        max(orders.sales_day) as last_order_day,
        count(*) as orders,
        count(*) filter (where orders.cancelled_at is not null) as cancelled_orders,
        {{ complete_sum('orders.net_amount_company') }} as sales_amount_company,
        (array_agg(orders.channel order by orders.processed_at, orders.order_id))[1] as first_channel,
        (array_agg(orders.country order by orders.processed_at desc, orders.order_id desc))[1] as last_country
    from {{ ref('fct_orders') }} as orders
    where {{ in_scope('orders.customer_id') }}
    group by orders.customer_id
),

customers as (
    select shop_customers.*
    from {{ ref('stg_shopify__customers') }} as shop_customers
    where {{ in_scope('shop_customers.customer_id') }}
),

refunded as (
    select
        refunds.customer_id,
        {{ complete_sum('refunds.refund_amount_company') }} as refund_amount_company
    from {{ ref('fct_refunds') }} as refunds
    where {{ in_scope('refunds.customer_id') }}
    group by refunds.customer_id
)

select
    coalesce(customers.customer_id, bought.customer_id) as customer_id,
    customers.created_at,
    customers.state,
    coalesce(customers.country, bought.last_country, 'unknown') as country,
    bought.first_order_day,
    bought.last_order_day,
    bought.first_channel,
    coalesce(bought.orders, 0) as orders,
    coalesce(bought.cancelled_orders, 0) as cancelled_orders,
    case when bought.customer_id is null then 0 else bought.sales_amount_company end as sales_amount_company,
    case when refunded.customer_id is null then 0 else refunded.refund_amount_company end as refund_amount_company,
    {{ company_currency() }} as currency
from customers
full outer join bought on customers.customer_id = bought.customer_id
left join refunded on bought.customer_id = refunded.customer_id
