{{ config(unique_key='sku') }}

-- Units sold per SKU over the last 30 complete days: shop orders that stand, plus invoices of the ERP that did
-- not come from the shop and took the goods from a location where the item is stocked (what ships straight from
-- a factory does not empty our shelves). Cost-of-goods, tax and header lines are not demand.
with sales_window as (
    select
        least({{ as_of_day() }} - 1, coalesce(freshness.complete_through, {{ as_of_day() }} - 1)) as last_day,
        {{ threshold('stock_velocity_days', 30) }}::int as days
    from (select 1) as one
    left join {{ ref('int_source_freshness') }} as freshness on freshness.source = 'shopify.orders'
),

shop as (
    select
        lines.sku,
        sum(lines.quantity) as units,
        sum(lines.net_amount_company) as amount
    from {{ ref('fct_order_lines') }} as lines
    where
        lines.sku is not null
        and lines.quantity > 0
        and not lines.is_cancelled
        and lines.sales_day > (select sales_window.last_day - sales_window.days from sales_window)
        and lines.sales_day <= (select sales_window.last_day from sales_window)
    group by lines.sku
),

invoiced as (
    select
        items.sku,
        sum(abs(lines.quantity)) as units,
        -sum(lines.net_amount) as amount
    from {{ ref('stg_netsuite__transactions') }} as transactions
    inner join {{ ref('stg_netsuite__transaction_lines') }} as lines
        on transactions.transaction_id = lines.transaction_id
    inner join {{ ref('stg_netsuite__items') }} as items on lines.item_id = items.item_id
    inner join {{ ref('stg_netsuite__inventory_by_location') }} as shelves
        on
            lines.item_id = shelves.item_id
            and lines.location_id = shelves.location_id
    where
        transactions.transaction_type = 'CustInvc'
        and transactions.shop_order_name is null
        and transactions.is_posting
        and not transactions.is_voided
        and not lines.is_main_line
        and not lines.is_tax_line
        and not lines.is_cogs_line
        and items.sku is not null
        and transactions.transaction_day > (select sales_window.last_day - sales_window.days from sales_window)
        and transactions.transaction_day <= (select sales_window.last_day from sales_window)
    group by items.sku
)

select
    coalesce(shop.sku, invoiced.sku) as sku,
    coalesce(shop.units, 0) + coalesce(invoiced.units, 0) as units_sold,
    coalesce(shop.amount, 0) + coalesce(invoiced.amount, 0) as sales_amount_company,
    (coalesce(shop.units, 0) + coalesce(invoiced.units, 0)) / sales_window.days as units_per_day,
    sales_window.last_day as window_end
from shop
full outer join invoiced on shop.sku = invoiced.sku
cross join sales_window
