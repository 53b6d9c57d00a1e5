{{ config(
    unique_key='ledger_line_id',
    scope='ledger_line_id',
    changed_by={'ledger_lines': 'id'},
    indexes=[{'columns': ['ledger_line_id'], 'unique': true}, {'columns': ['posted_day']}],
) }}

with changed as (
    {{ live_rows(source('raw_netsuite', 'ledger_lines')) }}
)

select
    changed.id as ledger_line_id,
    l.transaction as transaction_id,
    l.type as transaction_type,
    l.trandate as posted_day,
    l.account as account_id,
    l.amount,
    coalesce(l.posting, 'T') = 'T' as is_posting
from changed
cross join jsonb_to_record(changed.payload) as l (
    transaction text,
    type text,
    trandate date,
    account text,
    amount numeric,
    posting text
)
