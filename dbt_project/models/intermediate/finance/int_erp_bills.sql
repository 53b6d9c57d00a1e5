{{ config(
    unique_key='transaction_id',
    scope='transaction_id',
    changed_by={'stg_netsuite__transactions': 'transaction_id'},
    indexes=[
        {'columns': ['transaction_id'], 'unique': true},
        {'columns': ['document_day']},
        {'columns': ['open_until']},
    ],
) }}

-- What customers owe and what suppliers are owed: posted, unvoided invoices and bills, credits negative, with the
-- days on which they were open. The ERP tells what is unpaid now and when a document was closed, not when a part of
-- it was paid: an open document counts with what is unpaid now on every day since it was issued.
with documents as (
    select
        transactions.*,
        case when transactions.transaction_type = 'VendBill' then 'payable' else 'receivable' end as side,
        case when transactions.transaction_type = 'CustCred' then -1 else 1 end as sign,
        -- A role may not see what is unpaid; the status (B: paid in full, fully applied) tells as much.
        coalesce(
            transactions.unpaid_amount <> 0,
            transactions.closed_day is null and transactions.status is distinct from 'B'
        ) as is_open,
        case
            when transactions.currency = {{ company_currency() }} then 1
            else coalesce(transactions.exchange_rate, fx.rate)
        end as fx_rate
    from {{ ref('stg_netsuite__transactions') }} as transactions
    left join {{ ref('int_fx_rates') }} as fx
        on
            transactions.currency = fx.currency
            and transactions.transaction_day >= fx.valid_from
            and transactions.transaction_day < fx.valid_to
    where
        transactions.transaction_type in ('CustInvc', 'CustCred', 'VendBill')
        and transactions.is_posting
        and not transactions.is_voided
        and {{ in_scope('transactions.transaction_id') }}
)

select
    documents.transaction_id,
    documents.transaction_number,
    documents.transaction_type,
    documents.side,
    documents.entity_id as party_id,
    documents.transaction_day as document_day,
    coalesce(documents.due_day, documents.transaction_day) as due_day,
    documents.is_open,
    case
        when not documents.is_open then coalesce(documents.closed_day, documents.modified_at_local::date)
    end as closed_day,
    -- The last day at whose close it was open; NULL while it is.
    case
        when not documents.is_open then coalesce(documents.closed_day, documents.modified_at_local::date) - 1
    end as open_until,
    documents.transaction_day + {{ threshold('turnover_days', 90) }}::int - 1 as turnover_until,
    documents.currency,
    documents.sign * abs(documents.total_amount) as total_amount,
    documents.sign * abs(documents.total_amount) * documents.fx_rate as total_amount_company,
    documents.sign * abs(
        case
            when documents.is_open then coalesce(documents.unpaid_amount, documents.total_amount)
            else documents.total_amount
        end
    ) as open_amount,
    documents.sign * abs(
        case
            when documents.is_open then coalesce(documents.unpaid_amount, documents.total_amount)
            else documents.total_amount
        end
    ) * documents.fx_rate as open_amount_company
from documents
