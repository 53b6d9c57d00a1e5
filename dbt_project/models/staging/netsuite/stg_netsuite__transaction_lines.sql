{{ config(
    unique_key='transaction_line_id',
    scope='transaction_line_id',
    changed_by={'transaction_lines': 'id'},
    indexes=[{'columns': ['transaction_line_id'], 'unique': true}, {'columns': ['transaction_id']}],
) }}

with changed as (
    {{ live_rows(source('raw_netsuite', 'transaction_lines')) }}
)

select
    changed.id as transaction_line_id,
    l.transaction as transaction_id,
    l.linesequencenumber as line_number,
    l.item as item_id,
    l.quantity,
    l.rate,
    l.netamount as net_amount,
    l.foreignamount as foreign_amount,
    coalesce(l.mainline, 'F') = 'T' as is_main_line,
    coalesce(l.taxline, 'F') = 'T' as is_tax_line,
    coalesce(l.iscogs, 'F') = 'T' as is_cogs_line,
    l.expenseaccount as account_id,
    l.location as location_id,
    coalesce(l.quantityshiprecv, 0) as quantity_shipped_or_received,
    coalesce(l.quantitybilled, 0) as quantity_billed,
    coalesce(l.isclosed, 'F') = 'T' as is_closed
from changed
cross join jsonb_to_record(changed.payload) as l (
    transaction text,
    linesequencenumber bigint,
    item text,
    quantity numeric,
    rate numeric,
    netamount numeric,
    foreignamount numeric,
    mainline text,
    taxline text,
    iscogs text,
    expenseaccount text,
    location text,
    quantityshiprecv numeric,
    quantitybilled numeric,
    isclosed text
)
