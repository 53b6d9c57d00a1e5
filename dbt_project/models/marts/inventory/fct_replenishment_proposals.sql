{{ config(
    unique_key='sku',
    indexes=[{'columns': ['sku'], 'unique': true}, {'columns': ['supplier_name']}],
) }}

-- What to order: velocity x lead time x safety factor, less what is on hand, on order and in transit. Only what is on
-- sale, sells, and comes to more than nothing. A proposal orders nothing.
select
    stock.sku,
    stock.product_name,
    coalesce(stock.supplier_name, 'unknown supplier') as supplier_name,
    stock.reorder_quantity,
    stock.velocity_30d as units_per_day,
    coalesce(stock.lead_time_days, {{ threshold('stock_default_lead_days', 30) }}) as lead_time_days,
    stock.lead_time_days is null as is_default_lead_time,
    {{ threshold('stock_safety_factor', 2.0) }} as safety_factor,
    stock.position_units,
    stock.available,
    stock.days_of_supply,
    stock.severity,
    stock.next_expected_day,
    stock.unit_cost_company,
    stock.reorder_quantity * stock.unit_cost_company as order_value_company,
    stock.currency
from {{ ref('fct_inventory_position') }} as stock
where
    stock.is_active
    and stock.reorder_quantity > 0
