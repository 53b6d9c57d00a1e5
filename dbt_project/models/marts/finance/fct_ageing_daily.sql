{{ config(
    unique_key=['date', 'side', 'bucket'],
    scope='date',
    changed_by={'int_erp_bills': 'document_day..open_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'side', 'bucket'], 'unique': true}],
) }}

with owed as (
    select
        days.date,
        bills.side,
        {{ ageing_bucket('days.date - bills.due_day') }} as bucket,
        bills.open_amount_company
    from {{ days_in_scope(ref('int_erp_bills'), 'document_day') }} as days
    inner join {{ ref('int_erp_bills') }} as bills
        on
            days.date >= bills.document_day
            and (days.date <= bills.open_until or bills.open_until is null)
    where days.date <= {{ as_of_day() }}
)

select
    owed.date,
    owed.side,
    owed.bucket,
    owed.bucket <> 'current' as is_overdue,
    count(*)::bigint as documents,
    {{ complete_sum('owed.open_amount_company') }} as amount,
    {{ company_currency() }} as currency
from owed
group by owed.date, owed.side, owed.bucket
