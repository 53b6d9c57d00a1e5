{{ config(
    unique_key=['snapshot_day', 'measure', 'dimension', 'dimension_value'],
    scope='snapshot_day',
    only_recent=true,
    full_refresh=false,
    indexes=[{'columns': ['measure', 'snapshot_day']}, {'columns': ['snapshot_day']}],
) }}

-- What the vendors show of stock is the present only. Each build keeps the day's picture; the days before stay as
-- they were seen, also in a full refresh. Stock that was not synced on the day itself is unknown, not yesterday's.
with freshness as (
    select bool_and(sources.fresh_day >= {{ as_of_day() }}) as is_fresh
    from {{ ref('int_source_freshness') }} as sources
    where sources.source in (
        select distinct
            case positions.source
                when 'netsuite' then 'netsuite.inventory_by_location'
                else 'shopify.inventory_items'
            end
        from {{ ref('fct_inventory_position') }} as positions
    )
),

orders_freshness as (
    select bool_and(sources.fresh_day >= {{ as_of_day() }}) as is_fresh
    from {{ ref('int_source_freshness') }} as sources
    where sources.source = 'netsuite.purchase_orders'
),

stock as (
    select
        count(*) as skus,
        sum(positions.on_hand) as units,
        -- An SKU in stock whose cost nobody knows makes the value unknown.
        case
            when count(*) filter (where positions.on_hand > 0 and positions.unit_cost_company is null) = 0
                then sum(positions.stock_value_company) filter (where positions.on_hand > 0)
        end as value,
        count(*) filter (where positions.severity = 'critical') as critical,
        count(*) filter (where positions.severity = 'warning') as warning,
        count(*) filter (where positions.severity = 'watch') as watch,
        count(*) filter (where positions.is_out_of_stock) as out_of_stock,
        count(*) filter (where positions.is_overstock) as overstock,
        sum(positions.available) filter (where positions.is_active and positions.velocity_30d > 0) as selling_units,
        sum(positions.velocity_30d) filter (where positions.is_active and positions.velocity_30d > 0) as selling_pace,
        count(*) filter (where positions.is_key) as key_skus,
        count(*) filter (
            where positions.is_key and positions.stock_severity not in ('critical', 'warning')
        ) as key_skus_supplied,
        count(*) filter (where positions.is_key and positions.is_out_of_stock) as key_skus_out_of_stock,
        case
            when
                count(*) filter (
                    where positions.on_hand > 0 and positions.is_dead and positions.unit_cost_company is null
                ) = 0
                then
                    coalesce(
                        sum(positions.stock_value_company) filter (where positions.on_hand > 0 and positions.is_dead), 0
                    )
        end as dead_stock_value,
        case
            when count(*) filter (where positions.is_overstock and positions.unit_cost_company is null) = 0
                then coalesce(sum(positions.stock_value_company) filter (where positions.is_overstock), 0)
        end as overstock_value
    from (
        select
            all_positions.*,
            dead.sku is not null as is_dead
        from {{ ref('fct_inventory_position') }} as all_positions
        left join {{ ref('int_dead_stock') }} as dead on all_positions.sku = dead.sku
    ) as positions
),

outstanding as (
    select
        count(distinct open_orders.purchase_order_id) as purchase_orders,
        {{ complete_sum('open_orders.value_outstanding_company') }} as value
    from {{ ref('fct_purchase_orders_open') }} as open_orders
),

marketplace as (
    select
        bool_and(sources.fresh_day >= {{ as_of_day() }}) as is_fresh,
        (
            select sum(stock.fulfillable_quantity + stock.reserved_quantity)
            from {{ ref('stg_amazon__inventory_summaries') }} as stock
        ) as units
    from {{ ref('int_source_freshness') }} as sources
    where sources.source = 'amazon.inventory_summaries'
),

purchase_orders as (
    select
        case
            when grouping(ages.age) = 1 then 'all'
            else 'age'
        end as dimension,
        coalesce(ages.age, 'all') as dimension_value,
        count(distinct ages.purchase_order_id) filter (where ages.is_overdue) as overdue
    from (
        select
            open_orders.purchase_order_id,
            bool_or(open_orders.is_overdue) as is_overdue,
            case
                when bool_or(open_orders.is_long_overdue) then 'long_overdue'
                when bool_or(open_orders.is_overdue) then 'overdue'
            end as age
        from {{ ref('fct_purchase_orders_open') }} as open_orders
        group by open_orders.purchase_order_id
    ) as ages
    group by grouping sets ((), (ages.age))
    having grouping(ages.age) = 1 or ages.age is not null
),

measures as (
    select
        measures.measure,
        'all' as dimension,
        'all' as dimension_value,
        measures.numerator,
        measures.denominator
    from stock
    cross join
        lateral (
            values
            ('inventory_units', stock.units, null::numeric),
            ('inventory_value', stock.value, null),
            ('skus_stock_critical', stock.critical, null),
            ('skus_stock_warning', stock.warning, null),
            ('skus_stock_watch', stock.watch, null),
            ('skus_out_of_stock', stock.out_of_stock, null),
            ('skus_overstock', stock.overstock, null),
            ('days_of_supply', stock.selling_units, stock.selling_pace),
            ('key_sku_supply_share', stock.key_skus_supplied, stock.key_skus),
            ('key_sku_stock_out_rate', stock.key_skus_out_of_stock, stock.key_skus),
            ('dead_stock_value', stock.dead_stock_value, null),
            ('overstock_value', stock.overstock_value, null)
        ) as measures (measure, numerator, denominator)
    where stock.skus > 0
)

select
    {{ as_of_day() }} as snapshot_day,
    measures.measure,
    measures.dimension,
    measures.dimension_value,
    case when freshness.is_fresh then measures.numerator end::numeric as numerator,
    case when freshness.is_fresh then measures.denominator end::numeric as denominator
from measures
cross join freshness

union all

select
    {{ as_of_day() }} as snapshot_day,
    'purchase_orders_overdue' as measure,
    purchase_orders.dimension,
    purchase_orders.dimension_value,
    case when orders_freshness.is_fresh then purchase_orders.overdue end::numeric as numerator,
    null::numeric as denominator
from purchase_orders
cross join orders_freshness
where orders_freshness.is_fresh is not null
union all

select
    {{ as_of_day() }} as snapshot_day,
    measures.measure,
    'all' as dimension,
    'all' as dimension_value,
    case when orders_freshness.is_fresh then measures.numerator end::numeric as numerator,
    null::numeric as denominator
from outstanding
cross join orders_freshness
cross join
    lateral (
        values
        ('purchase_orders_open', outstanding.purchase_orders::numeric),
        ('purchase_orders_open_value', outstanding.value)
    ) as measures (measure, numerator)
where orders_freshness.is_fresh is not null
union all

select
    {{ as_of_day() }} as snapshot_day,
    'fba_units' as measure,
    'all' as dimension,
    'all' as dimension_value,
    case when marketplace.is_fresh then marketplace.units end::numeric as numerator,
    null::numeric as denominator
from marketplace
where marketplace.is_fresh is not null
