-- The balance of an account moves from one day to the next by what was posted, and begins with it.
with balances as (
    select
        cash.date,
        cash.account_id,
        cash.change_amount,
        cash.balance,
        lag(cash.balance, 1, 0::numeric) over (partition by cash.account_id order by cash.date) as balance_before,
        lag(cash.date) over (partition by cash.account_id order by cash.date) as day_before
    from {{ ref('fct_cash_daily') }} as cash
)

select balances.*
from balances
where
    balances.balance <> balances.balance_before + balances.change_amount
    or balances.date <> balances.day_before + 1
