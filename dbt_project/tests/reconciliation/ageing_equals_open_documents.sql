-- What is listed as open at the clock is what the days say of the clock's day, on both sides.
with listed as (
    select
        'receivable' as side,
        receivables.bucket,
        receivables.open_amount_company
    from {{ ref('fct_receivables_open') }} as receivables
    union all
    select
        'payable' as side,
        payables.bucket,
        payables.open_amount_company
    from {{ ref('fct_payables_open') }} as payables
),

open_now as (
    select
        listed.side,
        listed.bucket,
        count(*) as documents,
        {{ complete_sum('listed.open_amount_company') }} as amount
    from listed
    group by listed.side, listed.bucket
),

by_day as (
    select
        ageing.side,
        ageing.bucket,
        ageing.documents,
        ageing.amount
    from {{ ref('fct_ageing_daily') }} as ageing
    where ageing.date = {{ as_of_day() }}
)

select
    coalesce(open_now.side, by_day.side) as side,
    coalesce(open_now.bucket, by_day.bucket) as bucket,
    open_now.amount,
    by_day.amount as amount_by_day
from open_now
full outer join by_day on open_now.side = by_day.side and open_now.bucket = by_day.bucket
where
    open_now.documents is distinct from by_day.documents
    or open_now.amount is distinct from by_day.amount
