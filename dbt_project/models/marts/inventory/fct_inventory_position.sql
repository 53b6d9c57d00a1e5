{{ config(
    unique_key='sku',
    indexes=[{'columns': ['sku'], 'unique': true}, {'columns': ['severity']}],
) }}

with limits as (
    select
        {{ threshold('stock_critical_days', 7) }} as critical_days,
        {{ threshold('stock_warning_days', 14) }} as warning_days,
        {{ threshold('stock_watch_days', 21) }} as watch_days,
        {{ threshold('stock_watch_units', 25) }} as watch_units,
        {{ threshold('stock_overstock_days', 180) }} as overstock_days,
        {{ threshold('stock_safety_factor', 2.0) }} as safety_factor,
        {{ threshold('stock_default_lead_days', 30) }} as default_lead_days,
        {{ threshold('stock_key_skus', 20) }} as key_skus
),

demand as (
    select
        all_demand.*,
        rank() over (order by all_demand.sales_amount_company desc nulls last, all_demand.sku asc) as sales_rank
    from {{ ref('int_sku_demand') }} as all_demand
),

positions as (
    select
        stock.sku,
        products.product_name,
        products.supplier_name,
        coalesce(products.is_active, true) as is_active,
        stock.source,
        stock.on_hand,
        stock.available,
        stock.on_order,
        stock.in_transit,
        stock.on_hand + stock.on_order + stock.in_transit as position_units,
        stock.stocked_locations,
        coalesce(stock.reorder_point, products.reorder_point) as reorder_point,
        coalesce(stock.lead_time_days, products.lead_time_days) as lead_time_days,
        coalesce(demand.units_sold, 0) as units_sold_30d,
        coalesce(demand.units_per_day, 0) as velocity_30d,
        coalesce(demand.sales_amount_company, 0) as sales_amount_30d,
        coalesce(demand.sales_rank <= limits.key_skus, false) as is_key,
        case
            when demand.units_per_day > 0 then round(greatest(stock.available, 0) / demand.units_per_day, 2)
        end as days_of_supply,
        products.unit_cost_company,
        limits.*
    from {{ ref('int_stock_by_sku') }} as stock
    cross join limits
    left join {{ ref('dim_products') }} as products on stock.sku = products.sku
    left join demand on stock.sku = demand.sku
),

graded as (
    select
        positions.*,
        case
            when not positions.is_active then 'none'
            when positions.available <= 0 or positions.days_of_supply < positions.critical_days then 'critical'
            when positions.available < positions.reorder_point or positions.days_of_supply < positions.warning_days
                then 'warning'
            when positions.available < positions.watch_units or positions.days_of_supply < positions.watch_days
                then 'watch'
            else 'none'
        end as stock_severity,
        case
            when not positions.is_active then 'inactive'
            when positions.available <= 0 then 'out_of_stock'
            when positions.days_of_supply < positions.critical_days then 'days_of_supply'
            when positions.available < positions.reorder_point then 'reorder_point'
            when positions.days_of_supply < positions.warning_days then 'days_of_supply'
            when positions.available < positions.watch_units then 'few_units'
            when positions.days_of_supply < positions.watch_days then 'days_of_supply'
            when positions.days_of_supply is null then 'no_sales'
            else 'healthy'
        end as stock_reason
    from positions
),

-- An open purchase order covers a SKU when it is not overdue, arrives on the day before the stock runs out or
-- earlier, and lifts what is available to the level below which the SKU would be graded again.
cover as (
    select
        graded.sku,
        sum(open_orders.quantity_outstanding) as quantity_in_time,
        min(open_orders.expected_day) as next_expected_day
    from graded
    inner join {{ ref('fct_purchase_orders_open') }} as open_orders on graded.sku = open_orders.sku
    where
        not open_orders.is_overdue
        and graded.available > 0
        and (
            graded.days_of_supply is null
            or open_orders.expected_day < {{ as_of_day() }} + floor(graded.days_of_supply)::int
        )
    group by graded.sku
),

covered as (
    select
        graded.*,
        cover.next_expected_day,
        coalesce(
            graded.available + cover.quantity_in_time
            >= greatest(
                coalesce(graded.reorder_point, 0), graded.watch_units, graded.velocity_30d * graded.watch_days
            ),
            false
        ) as covered_by_po
    from graded
    left join cover on graded.sku = cover.sku
)

select
    covered.sku,
    covered.product_name,
    covered.supplier_name,
    covered.is_active,
    covered.is_key,
    covered.source,
    covered.on_hand,
    covered.available,
    covered.on_order,
    covered.in_transit,
    covered.position_units,
    covered.stocked_locations::bigint as stocked_locations,
    covered.units_sold_30d,
    round(covered.velocity_30d, 6) as velocity_30d,
    covered.sales_amount_30d,
    covered.days_of_supply,
    case
        when covered.days_of_supply is null then 'no_sales'
        else 'known'
    end as supply_status,
    covered.reorder_point,
    covered.lead_time_days,
    case
        when covered.covered_by_po and covered.stock_severity <> 'none' then 'none'
        else covered.stock_severity
    end as severity,
    covered.stock_severity,
    covered.covered_by_po and covered.stock_severity <> 'none' as covered_by_po,
    covered.next_expected_day,
    case
        when covered.covered_by_po and covered.stock_severity <> 'none' then 'covered_by_purchase_order'
        else covered.stock_reason
    end as reason,
    covered.is_active and covered.available <= 0 as is_out_of_stock,
    coalesce(covered.is_active and covered.days_of_supply > covered.overstock_days, false) as is_overstock,
    case
        when covered.is_active and covered.velocity_30d > 0
            then
                greatest(
                    ceil(
                        covered.velocity_30d
                        * coalesce(covered.lead_time_days, covered.default_lead_days)
                        * covered.safety_factor
                        - covered.position_units
                    ),
                    0
                )
    end as reorder_quantity,
    covered.unit_cost_company,
    covered.on_hand * covered.unit_cost_company as stock_value_company,
    {{ company_currency() }} as currency,
    {{ as_of_day() }} as as_of_day
from covered
