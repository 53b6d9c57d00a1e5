{{ config(unique_key='sku') }}

-- SKUs on the shelf that nobody bought for the days of the threshold, in the shop or on an invoice. What was never
-- sold at all is dead too, unless the shop's first order is younger than that: then nobody can know.
with limits as (
    select
        {{ as_of_day() }} - {{ threshold('dead_stock_days', 180) }}::int as since,
        (select min(orders.sales_day) from {{ ref('fct_orders') }} as orders) as first_day
)

select stock.sku
from {{ ref('int_stock_by_sku') }} as stock
cross join limits
where
    stock.on_hand > 0
    and limits.first_day <= limits.since
    and not exists (
        select 1
        from {{ ref('fct_order_lines') }} as lines
        where
            lines.sku = stock.sku
            and lines.sales_day >= limits.since
            and lines.quantity > 0
            and not lines.is_cancelled
    )
    and not exists (
        select 1
        from {{ ref('stg_netsuite__items') }} as items
        inner join {{ ref('stg_netsuite__transaction_lines') }} as lines on items.item_id = lines.item_id
        inner join {{ ref('stg_netsuite__transactions') }} as transactions
            on lines.transaction_id = transactions.transaction_id
        where
            items.sku = stock.sku
            and transactions.transaction_type = 'CustInvc'
            and transactions.transaction_day >= limits.since
            and transactions.is_posting
            and not transactions.is_voided
            and not lines.is_main_line
            and not lines.is_tax_line
            and not lines.is_cogs_line
    )
