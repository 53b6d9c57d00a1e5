{{ config(
    unique_key='transaction_id',
    scope='transaction_id',
    changed_by={'stg_netsuite__transactions': 'transaction_id', 'stg_netsuite__transaction_lines': 'transaction_id'},
    indexes=[
        {'columns': ['transaction_id'], 'unique': true},
        {'columns': ['shop_order_name']},
        {'columns': ['transaction_day']},
    ],
) }}

-- Posted, unvoided sales documents of the ERP with what their lines say. The ledger signs revenue negative on
-- cash sales and invoices, positive on credits and refunds; header, tax and cost lines are not revenue. A cost
-- posting has two lines marked as cost, with opposite signs: the positive one is the cost of the goods.
with lines as (
    select
        all_lines.transaction_id,
        -sum(all_lines.net_amount) filter (
            where not all_lines.is_main_line and not all_lines.is_tax_line and not all_lines.is_cogs_line
        ) as revenue,
        sum(all_lines.net_amount) filter (where all_lines.is_cogs_line and all_lines.net_amount > 0) as cogs,
        count(*) filter (
            where not all_lines.is_main_line and not all_lines.is_tax_line and not all_lines.is_cogs_line
        ) as line_count
    from {{ ref('stg_netsuite__transaction_lines') }} as all_lines
    where {{ in_scope('all_lines.transaction_id') }}
    group by all_lines.transaction_id
)

select
    transactions.transaction_id,
    transactions.transaction_number,
    transactions.transaction_type,
    transactions.transaction_day,
    transactions.shop_order_name,
    transactions.currency,
    transactions.transaction_type in ('CashSale', 'CustInvc') as is_sale,
    transactions.transaction_type in ('CustCred', 'CashRfnd') as is_credit,
    coalesce(lines.revenue, 0) as revenue,
    coalesce(lines.cogs, 0) as cogs,
    coalesce(lines.line_count, 0) as line_count
from {{ ref('stg_netsuite__transactions') }} as transactions
left join lines on transactions.transaction_id = lines.transaction_id
where
    transactions.transaction_type in ('CashSale', 'CustInvc', 'CustCred', 'CashRfnd')
    and transactions.is_posting
    and not transactions.is_voided
    and {{ in_scope('transactions.transaction_id') }}
