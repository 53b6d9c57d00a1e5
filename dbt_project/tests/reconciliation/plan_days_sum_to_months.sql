-- The plan's days sum to its months exactly.
select
    days.month_start,
    sum(days.plan_day) as plan_days,
    max(days.plan_month) as plan_month
from {{ ref('fct_revenue_plan_daily') }} as days
group by days.month_start
having sum(days.plan_day) <> round(max(days.plan_month), 2)
