{{ config(
    unique_key=['date', 'document_type'],
    scope='date',
    changed_by={'int_erp_transactions': 'transaction_day'},
    indexes=[{'columns': ['date', 'document_type'], 'unique': true}],
) }}

select
    transactions.transaction_day as date,
    case transactions.transaction_type when 'CustInvc' then 'invoice' else 'cash_sale' end as document_type,
    count(*) as documents,
    sum(transactions.revenue) as revenue,
    sum(transactions.cogs) as cogs,
    sum(transactions.revenue - transactions.cogs) as gross_margin,
    {{ company_currency() }} as currency
from {{ ref('int_erp_transactions') }} as transactions
where
    transactions.is_sale
    and {{ in_scope('transactions.transaction_day') }}
group by transactions.transaction_day, transactions.transaction_type
