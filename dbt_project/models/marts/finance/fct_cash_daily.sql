{{ config(
    unique_key=['date', 'account_id'],
    scope='date',
    changed_by={'int_ledger_daily': 'since date', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'account_id'], 'unique': true}],
) }}

-- The balance of each bank account at the close of each day: all that was ever posted to it up to that day.
with accounts as (
    select
        charted.account_id,
        charted.account_number,
        charted.account_name,
        (
            select min(first_posting.date)
            from {{ ref('int_ledger_daily') }} as first_posting
            where first_posting.account_id = charted.account_id
        ) as first_day
    from {{ ref('stg_netsuite__accounts') }} as charted
    where charted.account_type = 'Bank'
)

select
    days.date,
    accounts.account_id,
    accounts.account_number,
    coalesce(accounts.account_name, accounts.account_id) as account,
    {{ company_currency() }} as currency,
    balances.change_amount,
    balances.balance
from {{ days_in_scope(ref('int_ledger_daily'), 'date') }} as days
inner join accounts on days.date >= accounts.first_day
cross join
    lateral (
        select
            coalesce(sum(posted.amount) filter (where posted.date = days.date), 0) as change_amount,
            sum(posted.amount) as balance
        from {{ ref('int_ledger_daily') }} as posted
        where
            posted.account_id = accounts.account_id
            and posted.date <= days.date
    ) as balances
where days.date <= {{ as_of_day() }}
