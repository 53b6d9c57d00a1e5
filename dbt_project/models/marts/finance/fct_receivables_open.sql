{{ config(
    unique_key='transaction_id',
    indexes=[{'columns': ['transaction_id'], 'unique': true}],
) }}

select
    bills.transaction_id,
    bills.transaction_number,
    bills.transaction_type,
    bills.party_id as customer_id,
    bills.document_day,
    bills.due_day,
    greatest({{ as_of_day() }} - bills.due_day, 0) as days_overdue,
    {{ ageing_bucket(as_of_day() ~ ' - bills.due_day') }} as bucket,
    bills.currency,
    bills.total_amount,
    bills.open_amount,
    bills.open_amount_company,
    {{ company_currency() }} as company_currency
from {{ ref('int_erp_bills') }} as bills
where
    bills.side = 'receivable'
    and bills.is_open
    and bills.document_day <= {{ as_of_day() }}
