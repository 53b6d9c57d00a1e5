{{ config(
    unique_key=['date', 'channel', 'record'],
    scope='date',
    changed_by={
        'fct_sales_daily': 'date',
        'int_marketplace_sales': 'sales_day',
        'int_erp_transactions': 'transaction_day',
    },
    indexes=[{'columns': ['date', 'channel', 'record'], 'unique': true}],
) }}

-- Each sale once, from the record that knows it best. The shop's orders of every channel, the mirrored ones of Amazon
-- too, with their cancellations and refunds; what Amazon sold that the shop never heard of; what the ERP invoiced to
-- business customers without a shop order.
with shop as (
    select
        sales.date,
        sales.channel,
        sum(sales.orders)::bigint as orders,
        sum(sales.units)::bigint as units,
        {{ complete_sum('sales.sales_amount') }} as sales_amount,
        {{ complete_sum('sales.refund_amount') }} as refund_amount
    from {{ ref('fct_sales_daily') }} as sales
    where {{ in_scope('sales.date') }}
    group by sales.date, sales.channel
),

marketplace as (
    select
        orders.sales_day as date,
        count(*)::bigint as orders,
        sum(orders.units)::bigint as units,
        {{ complete_sum('orders.net_amount_company') }} as sales_amount
    from {{ ref('int_marketplace_sales') }} as orders
    where
        orders.is_sale
        and not orders.is_in_shop
        and {{ in_scope('orders.sales_day') }}
    group by orders.sales_day
),

invoiced as (
    select
        transactions.transaction_day as date,
        count(*) filter (where transactions.is_sale) as orders,
        coalesce(sum(transactions.revenue) filter (where transactions.is_sale), 0) as sales_amount,
        coalesce(-sum(transactions.revenue) filter (where transactions.is_credit), 0) as refund_amount
    from {{ ref('int_erp_transactions') }} as transactions
    where
        transactions.transaction_type in ('CustInvc', 'CustCred')
        and transactions.shop_order_name is null
        and {{ in_scope('transactions.transaction_day') }}
    group by transactions.transaction_day
),

records as (
    select
        shop.date,
        shop.channel,
        'shop' as record,
        shop.orders,
        shop.units,
        shop.sales_amount,
        shop.refund_amount
    from shop
    union all
    select
        marketplace.date,
        'amazon' as channel,
        'marketplace' as record,
        marketplace.orders,
        marketplace.units,
        marketplace.sales_amount,
        0 as refund_amount
    from marketplace
    union all
    -- Lines of the ERP count stock units only where it tracks them: the units are unknown.
    select
        invoiced.date,
        'wholesale' as channel,
        'erp' as record,
        invoiced.orders,
        null as units,
        invoiced.sales_amount,
        invoiced.refund_amount
    from invoiced
)

select
    records.date,
    records.channel,
    records.record,
    {{ company_currency() }} as currency,
    records.orders,
    records.units,
    records.sales_amount,
    records.refund_amount,
    records.sales_amount - records.refund_amount as net_amount
from records
