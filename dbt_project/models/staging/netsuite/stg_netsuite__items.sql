{{ config(
    indexes=[{'columns': ['item_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_netsuite', 'items'), 'item_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_netsuite', 'items'), 'item_id') }}
)

select
    unparsed.id as item_id,
    nullif(i.itemid, '') as sku,
    i.displayname as item_name,
    i.itemtype as item_type,
    coalesce(i.isinactive, 'F') = 'F' as is_active,
    i.averagecost as average_cost,
    i.vendor as supplier_id,
    i.leadtime as lead_time_days,
    i.reorderpoint as reorder_point,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as i (
    itemid text,
    displayname text,
    itemtype text,
    isinactive text,
    averagecost numeric,
    vendor text,
    leadtime numeric,
    reorderpoint numeric
)
