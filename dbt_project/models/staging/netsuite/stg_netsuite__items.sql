{{ config(
    unique_key='item_id',
    scope='item_id',
    changed_by={'items': 'id'},
    indexes=[{'columns': ['item_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_netsuite', 'items')) }}
)

select
    changed.id as item_id,
    nullif(i.itemid, '') as sku,
    i.displayname as item_name,
    i.itemtype as item_type,
    coalesce(i.isinactive, 'F') = 'F' as is_active,
    i.averagecost as average_cost,
    i.vendor as supplier_id,
    i.leadtime as lead_time_days,
    i.reorderpoint as reorder_point
from changed
cross join jsonb_to_record(changed.payload) as i (
    itemid text,
    displayname text,
    itemtype text,
    isinactive text,
    averagecost numeric,
    vendor text,
    leadtime numeric,
    reorderpoint numeric
)
