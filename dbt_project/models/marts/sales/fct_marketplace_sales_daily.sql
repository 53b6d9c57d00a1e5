{{ config(
    unique_key=['date', 'fulfilled_by'],
    scope='date',
    changed_by={'int_marketplace_sales': 'sales_day'},
    indexes=[{'columns': ['date', 'fulfilled_by'], 'unique': true}],
) }}

select
    orders.sales_day as date,
    case when orders.is_fulfilled_by_amazon then 'amazon' else 'merchant' end as fulfilled_by,
    {{ company_currency() }} as currency,
    count(*) filter (where not orders.is_replacement) as orders_placed,
    count(*) filter (where orders.is_sale) as orders,
    count(*) filter (where orders.is_pending) as pending_orders,
    count(*) filter (where orders.is_cancelled and not orders.is_replacement) as cancelled_orders,
    count(*) filter (where orders.is_replacement and not orders.is_cancelled) as replacements,
    coalesce(sum(orders.units) filter (where orders.is_sale), 0)::bigint as units,
    case
        when count(*) filter (where orders.is_sale and orders.net_amount_company is null) = 0
            then coalesce(sum(orders.net_amount_company) filter (where orders.is_sale), 0)
    end as sales_amount,
    count(*) filter (where orders.is_sale and not orders.is_in_shop) as orders_unknown_to_shop
from {{ ref('int_marketplace_sales') }} as orders
where {{ in_scope('orders.sales_day') }}
group by orders.sales_day, orders.is_fulfilled_by_amazon
