-- Orders by discount code and the daily sales are two ways through the same orders; no order may be lost or doubled.
with codes as (
    select
        daily.date,
        sum(daily.orders) as orders,
        {{ complete_sum('daily.discount_amount') }} as discount_amount,
        {{ complete_sum('daily.sales_amount') }} as sales_amount
    from {{ ref('fct_discount_codes_daily') }} as daily
    group by daily.date
),

sales as (
    select
        daily.date,
        sum(daily.orders) as orders,
        {{ complete_sum('daily.discount_amount') }} as discount_amount,
        {{ complete_sum('daily.sales_amount') }} as sales_amount
    from {{ ref('fct_sales_daily') }} as daily
    group by daily.date
    having sum(daily.orders) > 0
)

select
    coalesce(sales.date, codes.date) as date,
    codes.orders as orders_by_code,
    sales.orders as orders_daily,
    codes.sales_amount as sales_by_code,
    sales.sales_amount as sales_daily
from sales
full outer join codes on sales.date = codes.date
where
    codes.orders is distinct from sales.orders
    or codes.discount_amount is distinct from sales.discount_amount
    or codes.sales_amount is distinct from sales.sales_amount
