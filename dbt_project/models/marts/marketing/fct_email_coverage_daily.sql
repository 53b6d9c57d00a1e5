{{ config(
    unique_key='date',
    scope='date',
    changed_by={'fct_orders': 'sales_day', 'int_email_orders': 'sales_day'},
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- What the mail system heard of the shop's orders, from the first day it heard of any. An order without a customer
-- has nobody to mail; of the orders of other channels the mail system is never told.
select
    orders.sales_day as date,
    count(*) as orders,
    count(heard.order_id) as heard_orders,
    count(*) - count(heard.order_id) as unheard_orders,
    count(*) filter (where heard.event_count > 1) as doubled_orders
from {{ ref('fct_orders') }} as orders
left join {{ ref('int_email_orders') }} as heard on orders.order_id = heard.order_id
where
    orders.customer_id is not null
    and orders.channel in (select channels.channel from {{ ref('email_channels') }} as channels)
    and orders.sales_day >= (select min(earliest.sales_day) from {{ ref('int_email_orders') }} as earliest)
    and {{ in_scope('orders.sales_day') }}
group by orders.sales_day
