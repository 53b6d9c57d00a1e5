{{ config(
    unique_key='order_id',
    scope='order_id',
    changed_by={'stg_amazon__orders': 'order_id', 'stg_amazon__order_items': 'order_id'},
    indexes=[{'columns': ['order_id'], 'unique': true}, {'columns': ['order_key']}],
) }}

-- Orders on Amazon with what their items brought, in the company's currency at the sales day. Goods of other
-- channels that Amazon only ships are no sales of Amazon.
with orders as (
    select
        all_orders.*,
        {{ shop_day('all_orders.purchased_at') }} as sales_day
    from {{ ref('stg_amazon__orders') }} as all_orders
    where
        all_orders.sales_channel is distinct from 'NON_AMAZON'
        and {{ in_scope('all_orders.order_id') }}
),

items as (
    select
        all_items.order_id,
        sum(all_items.quantity)::bigint as units,
        {{ complete_sum('all_items.sales_amount + all_items.promotion_amount') }} as net_amount
    from {{ ref('stg_amazon__order_items') }} as all_items
    where {{ in_scope('all_items.order_id') }}
    group by all_items.order_id
)

select
    orders.order_id,
    -- What the shop calls the order where both know it.
    coalesce(orders.seller_order_id, orders.order_id) as order_key,
    orders.seller_order_id,
    orders.sales_day,
    orders.marketplace_id,
    coalesce(orders.fulfilled_by = 'AMAZON', false) as is_fulfilled_by_amazon,
    orders.is_pending,
    orders.is_cancelled,
    orders.replaces_order_id is not null as is_replacement,
    not orders.is_pending and not orders.is_cancelled and orders.replaces_order_id is null as is_sale,
    orders.currency,
    coalesce(items.units, 0) as units,
    case
        when orders.item_count = 0 then 0
        when orders.currency = {{ company_currency() }} then items.net_amount
        else items.net_amount * fx.rate
    end as net_amount_company
from orders
left join items on orders.order_id = items.order_id
left join {{ ref('int_fx_rates') }} as fx
    on
        orders.currency = fx.currency
        and orders.sales_day >= fx.valid_from
        and orders.sales_day < fx.valid_to
