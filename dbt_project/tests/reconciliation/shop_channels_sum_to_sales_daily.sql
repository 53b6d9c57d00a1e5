-- The shop's part of the channels is the shop's sales, to the cent.
with channels as (
    select
        daily.date,
        sum(daily.orders) as orders,
        {{ complete_sum('daily.net_amount') }} as net_amount
    from {{ ref('fct_channel_sales_daily') }} as daily
    where daily.record = 'shop'
    group by daily.date
),

sales as (
    select
        daily.date,
        sum(daily.orders) as orders,
        {{ complete_sum('daily.net_amount') }} as net_amount
    from {{ ref('fct_sales_daily') }} as daily
    group by daily.date
)

select
    coalesce(sales.date, channels.date) as date,
    channels.orders as orders_by_channel,
    sales.orders as orders_daily,
    channels.net_amount as net_by_channel,
    sales.net_amount as net_daily
from sales
full outer join channels on sales.date = channels.date
where
    channels.orders is distinct from sales.orders
    or channels.net_amount is distinct from sales.net_amount
