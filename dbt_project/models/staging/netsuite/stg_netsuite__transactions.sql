{{ config(
    indexes=[{'columns': ['transaction_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_netsuite', 'transactions'), 'transaction_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_netsuite', 'transactions'), 'transaction_id') }}
)

select
    unparsed.id as transaction_id,
    t.tranid as transaction_number,
    t.type as transaction_type,
    t.trandate as transaction_day,
    t.duedate as due_day,
    t.createddate as created_at_local,
    t.lastmodifieddate as modified_at_local,
    t.status,
    t.entity as entity_id,
    t.currency,
    t.exchangerate as exchange_rate,
    t.foreigntotal as total_amount,
    t.postingperiod as accounting_period_id,
    nullif(t.otherrefnum, '') as shop_order_name,
    coalesce(t.posting, 'T') = 'T' as is_posting,
    coalesce(t.voided, 'F') = 'T' as is_voided,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join jsonb_to_record(unparsed.payload) as t (
    tranid text,
    type text,
    trandate date,
    duedate date,
    createddate timestamp,
    lastmodifieddate timestamp,
    status text,
    entity text,
    currency text,
    exchangerate numeric,
    foreigntotal numeric,
    postingperiod text,
    otherrefnum text,
    posting text,
    voided text
)
