{{ config(
    unique_key='order_name',
    scope='order_name',
    changed_by={'int_erp_transactions': 'shop_order_name', 'fct_orders': 'order_name'},
    indexes=[{'columns': ['order_name'], 'unique': true}, {'columns': ['sales_day']}],
) }}

-- Every order that the shop or the ERP knows, side by side. `expected_day` is the day both should carry.
with erp as (
    select
        transactions.shop_order_name as order_name,
        min(transactions.transaction_day) as posted_day,
        count(*) as postings,
        sum(transactions.revenue) as erp_amount
    from {{ ref('int_erp_transactions') }} as transactions
    where
        transactions.is_sale
        and {{ in_scope('transactions.shop_order_name') }}
    group by transactions.shop_order_name
),

shop as (
    select
        orders.order_name,
        min(orders.sales_day) as sales_day,
        {{ complete_sum('orders.net_amount_company') }} as shop_amount
    from {{ ref('fct_orders') }} as orders
    where {{ in_scope('orders.order_name') }}
    group by orders.order_name
)

select
    coalesce(shop.order_name, erp.order_name) as order_name,
    shop.sales_day,
    erp.posted_day,
    coalesce(shop.sales_day, erp.posted_day) as expected_day,
    shop.shop_amount,
    erp.erp_amount,
    coalesce(erp.postings, 0) as postings,
    case
        when erp.order_name is null then 'missing_in_erp'
        when shop.order_name is null then 'missing_in_shop'
        when erp.postings > 1 and erp.erp_amount > shop.shop_amount then 'doubled_in_erp'
        when erp.posted_day <> shop.sales_day then 'other_day'
        when erp.erp_amount <> shop.shop_amount then 'other_amount'
        else 'matched'
    end as finding
from shop
full outer join erp on shop.order_name = erp.order_name
