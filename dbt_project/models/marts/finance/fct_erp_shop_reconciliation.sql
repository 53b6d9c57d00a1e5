{{ config(
    unique_key='date',
    scope='date',
    changed_by={
        'int_erp_shop_orders': ['sales_day', 'posted_day'],
        'int_erp_transactions': 'transaction_day',
        'int_clock': [],
        'cursors': [],
    },
    recent_days=var('late_arrival_days'),
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- Day by day, what the shop sold against what the ERP posted for shop orders. Only days on which the ERP is in
-- use and complete: a day the ERP has not been read for yet is not a gap.
with complete as (
    select min(freshness.complete_through) as last_day
    from {{ ref('int_source_freshness') }} as freshness
    where freshness.source in ('netsuite.transactions', 'netsuite.transaction_lines', 'shopify.orders')
),

span as (
    select
        min(transactions.transaction_day) as first_day,
        least(max(complete.last_day), {{ as_of_day() }} - 1) as last_day
    from {{ ref('int_erp_transactions') }} as transactions
    cross join complete
    where
        transactions.is_sale
        and transactions.shop_order_name is not null
),

shop_days as (
    select
        orders.sales_day as date,
        count(*) as shop_orders,
        {{ complete_sum('orders.shop_amount') }} as shop_amount,
        count(*) filter (where orders.finding = 'missing_in_erp') as missing_in_erp,
        coalesce(sum(orders.shop_amount) filter (where orders.finding = 'missing_in_erp'), 0) as missing_in_erp_amount,
        count(*) filter (where orders.finding = 'doubled_in_erp') as doubled_in_erp,
        coalesce(
            sum(orders.erp_amount - orders.shop_amount) filter (where orders.finding = 'doubled_in_erp'), 0
        ) as doubled_in_erp_amount,
        count(*) filter (where orders.finding = 'other_day') as posted_on_other_day,
        count(*) filter (where orders.finding = 'other_amount') as other_amount
    from {{ ref('int_erp_shop_orders') }} as orders
    where {{ in_scope('orders.sales_day') }}
    group by orders.sales_day
),

erp_days as (
    select
        transactions.transaction_day as date,
        count(*) as erp_orders,
        sum(transactions.revenue) as erp_amount,
        count(*) filter (where orders.finding = 'missing_in_shop') as missing_in_shop
    from {{ ref('int_erp_transactions') }} as transactions
    inner join {{ ref('int_erp_shop_orders') }} as orders on transactions.shop_order_name = orders.order_name
    where
        transactions.is_sale
        and {{ in_scope('transactions.transaction_day') }}
    group by transactions.transaction_day
),

days as (
    select
        coalesce(shop_days.date, erp_days.date) as date,
        coalesce(shop_days.shop_orders, 0) as shop_orders,
        case when shop_days.date is null then 0 else shop_days.shop_amount end as shop_amount,
        coalesce(erp_days.erp_orders, 0) as erp_orders,
        coalesce(erp_days.erp_amount, 0) as erp_amount,
        coalesce(shop_days.missing_in_erp, 0) as missing_in_erp,
        coalesce(shop_days.missing_in_erp_amount, 0) as missing_in_erp_amount,
        coalesce(erp_days.missing_in_shop, 0) as missing_in_shop,
        coalesce(shop_days.doubled_in_erp, 0) as doubled_in_erp,
        coalesce(shop_days.doubled_in_erp_amount, 0) as doubled_in_erp_amount,
        coalesce(shop_days.posted_on_other_day, 0) as posted_on_other_day,
        coalesce(shop_days.other_amount, 0) as other_amount
    from shop_days
    full outer join erp_days on shop_days.date = erp_days.date
    inner join span on coalesce(shop_days.date, erp_days.date) between span.first_day and span.last_day
)

select
    days.date,
    days.shop_orders,
    days.shop_amount,
    days.erp_orders,
    days.erp_amount,
    days.erp_amount - days.shop_amount as gap_amount,
    days.missing_in_erp,
    days.missing_in_erp_amount,
    days.missing_in_shop,
    days.doubled_in_erp,
    days.doubled_in_erp_amount,
    days.posted_on_other_day,
    days.other_amount,
    {{ company_currency() }} as currency,
    case
        when days.shop_amount is null then 'unknown'
        when
            abs(days.erp_amount - days.shop_amount) <= greatest(
                {{ threshold('erp_shop_tolerance_amount', 50) }},
                abs(days.shop_amount) * {{ threshold('erp_shop_tolerance_share', 0.01) }}
            ) then 'matched'
        else 'mismatched'
    end as status
from days
