{{ config(
    unique_key='date',
    scope='date',
    changed_by={'int_erp_transactions': 'transaction_day'},
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

select
    transactions.transaction_day as date,
    {{ company_currency() }} as currency,
    coalesce(sum(transactions.revenue) filter (where transactions.is_sale), 0) as revenue,
    coalesce(
        sum(transactions.revenue) filter (where transactions.transaction_type = 'CashSale'), 0
    ) as cash_sale_revenue,
    coalesce(
        sum(transactions.revenue) filter (where transactions.transaction_type = 'CustInvc'), 0
    ) as invoice_revenue,
    coalesce(-sum(transactions.revenue) filter (where transactions.is_credit), 0) as credits,
    coalesce(sum(transactions.cogs) filter (where transactions.is_sale), 0) as cogs,
    count(*) filter (where transactions.is_sale) as orders
from {{ ref('int_erp_transactions') }} as transactions
where {{ in_scope('transactions.transaction_day') }}
group by transactions.transaction_day
