{{ config(
    unique_key=['date', 'plan'],
    scope='date',
    changed_by={'int_app_subscriptions': 'paid_from..paid_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'plan'], 'unique': true}],
) }}

select
    days.date,
    subscriptions.plan,
    count(*) as subscriptions,
    {{ complete_sum('subscriptions.mrr') }} as mrr,
    {{ company_currency() }} as currency
from {{ days_in_scope(ref('int_app_subscriptions'), 'paid_from') }} as days
inner join {{ ref('int_app_subscriptions') }} as subscriptions
    on
        days.date >= subscriptions.paid_from
        and (days.date <= subscriptions.paid_until or subscriptions.paid_until is null)
where days.date <= {{ as_of_day() }}
group by days.date, subscriptions.plan
