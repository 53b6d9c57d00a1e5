-- The days of e-mail hold every order that is credited to a message, once, and all of its money; campaigns and flows
-- are all there is.
with daily as (
    select
        coalesce(sum(days.orders), 0) as orders,
        coalesce(sum(days.campaign_orders + days.flow_orders), 0) as parts,
        coalesce(sum(days.revenue), 0) as revenue
    from {{ ref('fct_email_daily') }} as days
),

credited as (
    select
        count(*) as orders,
        coalesce(sum(orders.net_amount_company) filter (
            where not exists (
                select 1 from {{ ref('fct_email_daily') }} as unknown
                where unknown.date = orders.sales_day and unknown.revenue is null
            )
        ), 0) as revenue
    from {{ ref('int_email_orders') }} as orders
    where orders.is_attributed and orders.is_in_shop
)

select
    daily.orders,
    credited.orders as credited_orders,
    daily.revenue,
    credited.revenue as credited_revenue
from daily
cross join credited
where
    daily.orders <> credited.orders
    or daily.parts <> credited.orders
    or daily.revenue <> credited.revenue
