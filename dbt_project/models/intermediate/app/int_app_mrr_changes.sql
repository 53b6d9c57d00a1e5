{{ config(
    unique_key=['user_id', 'date'],
    scope='user_id',
    changed_by={'int_app_subscriptions': 'user_id'},
    indexes=[{'columns': ['user_id', 'date'], 'unique': true}, {'columns': ['date']}, {'columns': ['until_day']}],
) }}

-- The days on which what a user pays a month changed, all subscriptions together: one that ends on the day another
-- begins is a change of plan, not a loss and a win.
with edges as (
    select
        subscriptions.user_id,
        edges.date,
        edges.direction,
        edges.direction * subscriptions.mrr as mrr
    from {{ ref('int_app_subscriptions') }} as subscriptions
    cross join
        lateral (
            values (subscriptions.paid_from, 1), (subscriptions.ended_day, -1)
        ) as edges (date, direction)
    where
        subscriptions.paid_from is not null
        and edges.date is not null
        and {{ in_scope('subscriptions.user_id') }}
),

days as (
    select
        edges.user_id,
        edges.date,
        sum(edges.direction)::integer as subscriptions,
        {{ complete_sum('edges.mrr') }} as mrr_change
    from edges
    group by edges.user_id, edges.date
),

running as (
    select
        days.*,
        row_number() over to_date as change_number,
        (sum(days.subscriptions) over to_date)::integer as subscriptions_after,
        coalesce(sum(days.mrr_change) over to_date, 0) as mrr_to_date,
        coalesce(bool_or(days.mrr_change is null) over to_date, false) as is_unknown,
        lead(days.date) over (partition by days.user_id order by days.date) as next_date
    from days
    window to_date as (partition by days.user_id order by days.date)
)

select
    running.user_id,
    running.date,
    running.next_date - 1 as until_day,
    running.next_date - 1 + {{ threshold('subscriber_churn_days', 30) }}::int as counts_until,
    case
        when running.subscriptions_after = 0 then 'churn'
        when running.subscriptions_after = running.subscriptions and running.change_number = 1 then 'new'
        when running.subscriptions_after = running.subscriptions and running.subscriptions > 0 then 'reactivation'
        when coalesce(running.mrr_change, running.subscriptions) > 0 then 'expansion'
        when coalesce(running.mrr_change, running.subscriptions) < 0 then 'contraction'
        else 'none'
    end as movement,
    running.mrr_change,
    running.subscriptions_after,
    case
        when running.subscriptions_after = 0 then 0
        when not running.is_unknown then running.mrr_to_date
    end as mrr_after
from running
