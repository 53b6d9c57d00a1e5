{{ config(
    unique_key=['date', 'channel'],
    indexes=[{'columns': ['date', 'channel'], 'unique': true}],
) }}

-- A month's budget of a channel runs evenly over its days; the spend so far against that, day by day.
with spent as (
    select
        daily.date,
        daily.channel,
        {{ complete_sum('daily.spend') }} as spend
    from {{ ref('fct_paid_media_daily') }} as daily
    group by daily.date, daily.channel
),

history as (
    select min(spent.date) as first_day
    from spent
),

budgets as (
    select
        plans.month as month_start,
        (plans.month + interval '1 month - 1 day')::date as month_end,
        plans.channel,
        plans.budget * case
            when plans.currency = {{ company_currency() }} then 1
            else fx.rate
        end as budget
    from {{ ref('ad_budget_monthly') }} as plans
    left join {{ ref('int_fx_rates') }} as fx
        on
            plans.currency = fx.currency
            and plans.month >= fx.valid_from
            and plans.month < fx.valid_to
),

days as (
    select
        budgets.*,
        day.value::date as date,
        -- A day without an entry is one without spend; a day before the first entry of all is unknown.
        case
            when spent.date is null and day.value::date >= history.first_day then 0
            else spent.spend
        end as spend
    from budgets
    cross join history
    cross join
        generate_series(
            budgets.month_start::timestamp,
            least(budgets.month_end, {{ as_of_day() }} - 1)::timestamp,
            interval '1 day'
        ) as day (value)
    left join spent on day.value::date = spent.date and budgets.channel = spent.channel
    where budgets.month_end >= history.first_day
),

to_date as (
    select
        days.*,
        case
            when count(days.spend) over to_this_day = days.date - days.month_start + 1
                then sum(days.spend) over to_this_day
        end as spend_month_to_date,
        round(
            days.budget * (days.date - days.month_start + 1) / (days.month_end - days.month_start + 1), 2
        ) as budget_month_to_date
    from days
    window to_this_day as (partition by days.channel, days.month_start order by days.date)
),

paced as (
    select
        to_date.*,
        round(to_date.spend_month_to_date / nullif(to_date.budget_month_to_date, 0), 6) as pacing
    from to_date
)

select
    paced.date,
    paced.channel,
    paced.month_start,
    paced.budget as budget_month,
    paced.budget_month_to_date,
    paced.spend,
    paced.spend_month_to_date,
    {{ company_currency() }} as currency,
    paced.pacing,
    case
        when paced.pacing > 1 + {{ threshold('ads_pacing_share', 0.20) }} then 'over'
        when paced.pacing < 1 - {{ threshold('ads_pacing_share', 0.20) }} then 'under'
        when paced.pacing is not null then 'on_pace'
    end as pacing_status
from paced
