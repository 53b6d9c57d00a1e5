{{ config(
    unique_key=['date', 'side'],
    scope='date',
    changed_by={
        'fct_ageing_daily': 'date',
        'int_erp_bills': 'document_day..turnover_until',
        'int_clock': [],
    },
    recent_days=1,
    indexes=[{'columns': ['date', 'side'], 'unique': true}],
) }}

-- What is owed at the close of each day beside what was billed in the time before it.
with days as (
    select
        days.date,
        sides.side
    from {{ days_in_scope(ref('int_erp_bills'), 'document_day') }} as days
    cross join (values ('receivable'), ('payable')) as sides (side)
    where days.date <= {{ as_of_day() }}
),

owed as (
    select
        ageing.date,
        ageing.side,
        {{ complete_sum('ageing.amount') }} as open_amount,
        case
            when count(*) = count(ageing.amount)
                then coalesce(sum(ageing.amount) filter (where ageing.is_overdue), 0)
        end as overdue_amount
    from {{ ref('fct_ageing_daily') }} as ageing
    where {{ in_scope('ageing.date') }}
    group by ageing.date, ageing.side
),

billed as (
    select
        days.date,
        days.side,
        {{ complete_sum('bills.total_amount_company') }} as billed_amount
    from days
    inner join {{ ref('int_erp_bills') }} as bills
        on
            days.side = bills.side
            and days.date >= bills.document_day
            and days.date <= bills.turnover_until
    group by days.date, days.side
)

select
    days.date,
    days.side,
    case when owed.date is null then 0 else owed.open_amount end as open_amount,
    case when owed.date is null then 0 else owed.overdue_amount end as overdue_amount,
    case when billed.date is null then 0 else billed.billed_amount end as billed_amount,
    {{ threshold('turnover_days', 90) }}::integer as turnover_days,
    {{ company_currency() }} as currency
from days
left join owed on days.date = owed.date and days.side = owed.side
left join billed on days.date = billed.date and days.side = billed.side
