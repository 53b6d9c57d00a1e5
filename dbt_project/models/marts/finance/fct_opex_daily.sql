{{ config(
    unique_key=['date', 'account_id'],
    scope='date',
    changed_by={'int_ledger_daily': 'date'},
    indexes=[{'columns': ['date', 'account_id'], 'unique': true}],
) }}

-- Expenses on the day they were posted. Interest, taxes and the like are kept by NetSuite as other expenses: they are
-- here and are not operating. The cost of goods is neither.
select
    posted.date,
    posted.account_id,
    accounts.account_number,
    coalesce(accounts.account_name, posted.account_id) as account,
    accounts.account_type,
    accounts.account_type = 'Expense' as is_operating,
    posted.postings,
    posted.amount,
    {{ company_currency() }} as currency
from {{ ref('int_ledger_daily') }} as posted
inner join {{ ref('stg_netsuite__accounts') }} as accounts on posted.account_id = accounts.account_id
where
    accounts.account_type in ('Expense', 'OthExpense')
    and {{ in_scope('posted.date') }}
