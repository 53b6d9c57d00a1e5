{{ config(
    indexes=[{'columns': ['transaction_line_id'], 'unique': true}, {'columns': ['transaction_id']}],
    pre_hook="{{ forget_unlike_raw(source('raw_netsuite', 'transaction_lines'), 'transaction_line_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_netsuite', 'transaction_lines'), 'transaction_line_id') }}
)

select
    unparsed.id as transaction_line_id,
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
    coalesce(l.isclosed, 'F') = 'T' as is_closed,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as l (
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
