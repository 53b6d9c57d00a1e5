{{ config(
    unique_key='purchase_order_line_id',
    indexes=[{'columns': ['purchase_order_line_id'], 'unique': true}, {'columns': ['sku']}],
) }}

with open_lines as (
    select
        purchase_orders.*,
        greatest({{ as_of_day() }} - purchase_orders.expected_day, 0) as days_overdue
    from {{ ref('stg_netsuite__purchase_orders') }} as purchase_orders
    where
        not purchase_orders.is_closed
        and purchase_orders.quantity > purchase_orders.quantity_received
        -- NetSuite ends an order as rejected (C), fully billed (G) or closed (H), whatever its lines say; the
        -- status comes as the code, with or without the record type before it, or in words.
        and coalesce(purchase_orders.status, '') !~* '((^|:)[cgh]$|closed|fully billed|rejected)'
)

select
    open_lines.purchase_order_line_id,
    open_lines.purchase_order_id,
    open_lines.purchase_order_number,
    open_lines.supplier_id,
    suppliers.supplier_name,
    items.sku,
    items.item_name,
    locations.location_name,
    open_lines.ordered_day,
    open_lines.expected_day,
    open_lines.quantity,
    open_lines.quantity_received,
    open_lines.quantity - open_lines.quantity_received as quantity_outstanding,
    open_lines.rate,
    (open_lines.quantity - open_lines.quantity_received) * open_lines.rate as value_outstanding,
    coalesce(suppliers.currency, {{ company_currency() }}) as currency,
    (open_lines.quantity - open_lines.quantity_received) * open_lines.rate
    * case
        when coalesce(suppliers.currency, {{ company_currency() }}) = {{ company_currency() }} then 1
        else fx.rate
    end as value_outstanding_company,
    open_lines.days_overdue,
    open_lines.days_overdue > 0 as is_overdue,
    open_lines.days_overdue > {{ threshold('purchase_order_overdue_days', 45) }} as is_long_overdue
from open_lines
left join {{ ref('stg_netsuite__items') }} as items on open_lines.item_id = items.item_id
left join {{ ref('stg_netsuite__vendors') }} as suppliers on open_lines.supplier_id = suppliers.supplier_id
left join {{ ref('stg_netsuite__locations') }} as locations on open_lines.location_id = locations.location_id
left join {{ ref('int_fx_rates') }} as fx
    on
        suppliers.currency = fx.currency
        and fx.valid_from <= {{ as_of_day() }}
        and fx.valid_to > {{ as_of_day() }}
