{{ config(
    unique_key='inventory_location_id',
    scope='inventory_location_id',
    changed_by={'inventory_by_location': 'id'},
    indexes=[{'columns': ['inventory_location_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_netsuite', 'inventory_by_location')) }}
)

select
    changed.id as inventory_location_id,
    i.item as item_id,
    i.location as location_id,
    coalesce(i.quantityonhand, 0) as on_hand,
    coalesce(i.quantityavailable, 0) as available,
    coalesce(i.quantityonorder, 0) as on_order,
    coalesce(i.quantityintransit, 0) as in_transit,
    coalesce(i.quantitybackordered, 0) as backordered,
    i.reorderpoint as reorder_point,
    i.preferredstocklevel as preferred_stock,
    i.leadtime as lead_time_days
from changed
cross join jsonb_to_record(changed.payload) as i (
    item text,
    location text,
    quantityonhand numeric,
    quantityavailable numeric,
    quantityonorder numeric,
    quantityintransit numeric,
    quantitybackordered numeric,
    reorderpoint numeric,
    preferredstocklevel numeric,
    leadtime numeric
)
