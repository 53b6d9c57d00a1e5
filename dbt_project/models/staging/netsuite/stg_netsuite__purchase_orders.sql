{{ config(
    unique_key='purchase_order_line_id',
    scope='purchase_order_line_id',
    changed_by={'purchase_orders': 'id'},
    indexes=[{'columns': ['purchase_order_line_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_netsuite', 'purchase_orders')) }}
)

select
    changed.id as purchase_order_line_id,
    p.transaction as purchase_order_id,
    p.tranid as purchase_order_number,
    p.trandate as ordered_day,
    p.duedate as due_day,
    p.status,
    p.vendor as supplier_id,
    p.item as item_id,
    p.location as location_id,
    coalesce(p.quantity, 0) as quantity,
    coalesce(p.quantityreceived, p.quantityshiprecv, 0) as quantity_received,
    coalesce(p.expectedreceiptdate, p.duedate) as expected_day,
    p.rate,
    coalesce(p.isclosed, 'F') = 'T' as is_closed
from changed
cross join jsonb_to_record(changed.payload) as p (
    transaction text,
    tranid text,
    trandate date,
    duedate date,
    status text,
    vendor text,
    item text,
    location text,
    quantity numeric,
    quantityreceived numeric,
    quantityshiprecv numeric,
    expectedreceiptdate date,
    rate numeric,
    isclosed text
)
