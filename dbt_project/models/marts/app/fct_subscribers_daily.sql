{{ config(
    unique_key='date',
    scope='date',
    changed_by={'int_app_mrr_changes': 'date..counts_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

{%- set movements = ['new', 'reactivation', 'expansion', 'contraction', 'churn'] %}

-- Subscribers at the close of each day, what moved monthly revenue on it, and what became of those who were
-- subscribers a month before.
with days as (
    select days.date
    from {{ days_in_scope(ref('int_app_mrr_changes'), 'date') }} as days
    where days.date <= {{ as_of_day() }}
),

paying as (
    select
        days.date,
        count(*) as subscribers
    from days
    inner join {{ ref('int_app_mrr_changes') }} as changes
        on
            days.date >= changes.date
            and (days.date <= changes.until_day or changes.until_day is null)
    where changes.subscriptions_after > 0
    group by days.date
),

month_before as (
    select
        days.date,
        count(*) as subscribers_before,
        count(*) filter (where later.user_id is null) as subscribers_lost
    from days
    inner join {{ ref('int_app_mrr_changes') }} as changes
        on
            days.date - {{ threshold('subscriber_churn_days', 30) }}::int >= changes.date
            and (
                days.date - {{ threshold('subscriber_churn_days', 30) }}::int <= changes.until_day
                or changes.until_day is null
            )
    left join {{ ref('int_app_mrr_changes') }} as later
        on
            changes.user_id = later.user_id
            and days.date >= later.date
            and (days.date <= later.until_day or later.until_day is null)
            and later.subscriptions_after > 0
    where changes.subscriptions_after > 0
    group by days.date
),

moved as (
    select
        days.date,
        {% for movement in movements %}
            case
                when
                    count(changes.mrr_change) filter (where changes.movement = '{{ movement }}')
                    = count(*) filter (where changes.movement = '{{ movement }}')
                    then coalesce(sum(abs(changes.mrr_change)) filter (where changes.movement = '{{ movement }}'), 0)
            end as {{ movement }}_mrr,
        {% endfor %}
        count(*) filter (where changes.movement in ('new', 'reactivation')) as subscribers_won,
        count(*) filter (where changes.movement = 'churn') as subscribers_churned
    from days
    inner join {{ ref('int_app_mrr_changes') }} as changes on days.date = changes.date
    group by days.date
)

select
    days.date,
    coalesce(paying.subscribers, 0) as subscribers,
    coalesce(month_before.subscribers_before, 0) as subscribers_before,
    coalesce(month_before.subscribers_lost, 0) as subscribers_lost,
    coalesce(moved.subscribers_won, 0) as subscribers_won,
    coalesce(moved.subscribers_churned, 0) as subscribers_churned,
    {% for movement in movements %}
        case when moved.date is null then 0 else moved.{{ movement }}_mrr end as {{ movement }}_mrr,
    {% endfor %}
    {{ company_currency() }} as currency
from days
left join paying on days.date = paying.date
left join month_before on days.date = month_before.date
left join moved on days.date = moved.date
