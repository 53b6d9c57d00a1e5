{{ config(
    unique_key='date',
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- The monthly plan spread over its days by the shape of the same weeks a year earlier (364 days, the same
-- weekdays), so that a month whose sales come at its end is not behind from its first day. Where that year is
-- not wholly on record the month is spread evenly. Days sum to the month exactly.
with sales as (
    select
        daily.date,
        {{ complete_sum('daily.net_amount') }} as net_amount
    from {{ ref('fct_sales_daily') }} as daily
    group by daily.date
),

history as (
    select
        min(sales.date) as first_day,
        {{ as_of_day() }} - 1 as last_day
    from sales
),

plan as (
    select
        plans.month as month_start,
        (plans.month + interval '1 month - 1 day')::date as month_end,
        plans.net_sales_plan * case
            when plans.currency = {{ company_currency() }} then 1
            else fx.rate
        end as plan_amount
    from {{ ref('revenue_plan_monthly') }} as plans
    left join {{ ref('int_fx_rates') }} as fx
        on
            plans.currency = fx.currency
            and plans.month >= fx.valid_from
            and plans.month < fx.valid_to
),

days as (
    select
        plan.month_start,
        plan.month_end,
        plan.plan_amount,
        day.date::date as date,
        greatest(coalesce(earlier.net_amount, 0), 0) as earlier_amount,
        day.date::date - 364 between history.first_day and history.last_day as has_earlier
    from plan
    cross join history
    cross join
        generate_series(
            plan.month_start::timestamp, plan.month_end::timestamp, interval '1 day'
        ) as day (date)
    left join sales as earlier on earlier.date = day.date::date - 364
),

shapes as (
    select
        days.*,
        sum(days.earlier_amount) over (partition by days.month_start order by days.date) as earlier_to_date,
        sum(days.earlier_amount) over (partition by days.month_start) as earlier_month,
        bool_and(days.has_earlier) over (partition by days.month_start) as is_shaped,
        (days.date - days.month_start + 1)::numeric / (days.month_end - days.month_start + 1) as even_share
    from days
),

to_date as (
    select
        shapes.date,
        shapes.month_start,
        shapes.plan_amount,
        shapes.is_shaped and shapes.earlier_month > 0 as is_shaped,
        round(
            shapes.plan_amount * case
                when shapes.is_shaped and shapes.earlier_month > 0
                    then shapes.earlier_to_date / shapes.earlier_month
                else shapes.even_share
            end,
            2
        ) as plan_month_to_date
    from shapes
),

actual as (
    select
        to_date.*,
        to_date.plan_month_to_date - coalesce(
            lag(to_date.plan_month_to_date) over (partition by to_date.month_start order by to_date.date), 0
        ) as plan_day,
        case
            when to_date.date >= {{ as_of_day() }} or to_date.date < history.first_day then null
            when sales.date is null then 0
            else sales.net_amount
        end as net_sales
    from to_date
    cross join history
    left join sales on to_date.date = sales.date
)

select
    actual.date,
    actual.month_start,
    actual.plan_amount as plan_month,
    actual.plan_day,
    actual.plan_month_to_date,
    actual.is_shaped as is_shaped_by_last_year,
    actual.net_sales,
    -- Unknown as soon as one day of the month is.
    case
        when
            count(actual.net_sales) over to_this_day = actual.date - actual.month_start + 1
            then sum(actual.net_sales) over to_this_day
    end as net_sales_month_to_date,
    {{ company_currency() }} as currency
from actual
window to_this_day as (partition by actual.month_start order by actual.date)
