{{ config(
    unique_key='transaction_id',
    scope='transaction_id',
    changed_by={'transactions': 'id'},
    indexes=[{'columns': ['transaction_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_netsuite', 'transactions')) }}
)

select
    changed.id as transaction_id,
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
    t.foreignamountunpaid as unpaid_amount,
    t.closedate as closed_day,
    t.postingperiod as accounting_period_id,
    nullif(t.otherrefnum, '') as shop_order_name,
    coalesce(t.posting, 'T') = 'T' as is_posting,
    coalesce(t.voided, 'F') = 'T' as is_voided
from changed
cross join jsonb_to_record(changed.payload) as t (
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
    foreignamountunpaid numeric,
    closedate date,
    postingperiod text,
    otherrefnum text,
    posting text,
    voided text
)
