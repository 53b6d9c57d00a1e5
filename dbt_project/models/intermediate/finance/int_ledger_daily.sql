{{ config(
    unique_key=['date', 'account_id'],
    scope='date',
    changed_by={'stg_netsuite__ledger_lines': 'posted_day'},
    indexes=[{'columns': ['date', 'account_id'], 'unique': true}, {'columns': ['account_id', 'date']}],
) }}

-- What was posted to each account on each day, as the ledger signs it: debits positive.
select
    ledger_lines.posted_day as date,
    ledger_lines.account_id,
    count(*) as postings,
    sum(ledger_lines.amount) as amount
from {{ ref('stg_netsuite__ledger_lines') }} as ledger_lines
where
    ledger_lines.is_posting
    and {{ in_scope('ledger_lines.posted_day') }}
group by ledger_lines.posted_day, ledger_lines.account_id
