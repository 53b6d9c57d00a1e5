{{ config(
    unique_key='sku',
    indexes=[{'columns': ['sku'], 'unique': true}],
) }}

-- What each SKU earned in the shop over the last 30 complete days, at the cost known today. Without a cost the margin
-- is unknown, never the whole price. Refunds are not in it: they do not say of which SKU the money beyond the lines
-- was.
with sales_window as (
    select
        least({{ as_of_day() }} - 1, coalesce(freshness.complete_through, {{ as_of_day() }} - 1)) as last_day,
        {{ threshold('stock_velocity_days', 30) }}::int as days
    from (select 1) as one
    left join {{ ref('int_source_freshness') }} as freshness on freshness.source = 'shopify.orders'
),

sold as (
    select
        lines.sku,
        sum(lines.quantity)::bigint as units,
        {{ complete_sum('lines.gross_amount_company') }} as gross_amount,
        {{ complete_sum('lines.discount_amount_company') }} as discount_amount,
        {{ complete_sum('lines.net_amount_company') }} as sales_amount
    from {{ ref('fct_order_lines') }} as lines
    where
        lines.sku is not null
        and not lines.is_cancelled
        and not lines.is_gift_card
        and lines.sales_day > (select sales_window.last_day - sales_window.days from sales_window)
        and lines.sales_day <= (select sales_window.last_day from sales_window)
    group by lines.sku
)

select
    sold.sku,
    products.product_name,
    products.product_type,
    sales_window.last_day - sales_window.days + 1 as first_day,
    sales_window.last_day,
    sold.units,
    {{ company_currency() }} as currency,
    sold.gross_amount,
    sold.discount_amount,
    sold.sales_amount,
    products.unit_cost_company,
    sold.units * products.unit_cost_company as cost_amount,
    sold.sales_amount - sold.units * products.unit_cost_company as margin_amount,
    round(
        (sold.sales_amount - sold.units * products.unit_cost_company) / nullif(sold.sales_amount, 0), 8
    ) as margin_rate,
    products.unit_cost_company is not null as is_cost_known
from sold
cross join sales_window
left join {{ ref('dim_products') }} as products on sold.sku = products.sku
