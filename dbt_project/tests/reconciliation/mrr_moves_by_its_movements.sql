-- Monthly revenue moves from one day to the next by what was won, expanded, contracted and lost.
with levels as (
    select
        plans.date,
        {{ complete_sum('plans.mrr') }} as mrr
    from {{ ref('fct_mrr_daily') }} as plans
    group by plans.date
),

days as (
    select
        subscribers.date,
        coalesce(levels.mrr, 0) as mrr,
        levels.date is not null and levels.mrr is null as is_unknown,
        subscribers.new_mrr + subscribers.reactivation_mrr + subscribers.expansion_mrr
        - subscribers.contraction_mrr - subscribers.churn_mrr as moved
    from {{ ref('fct_subscribers_daily') }} as subscribers
    left join levels on subscribers.date = levels.date
),

compared as (
    select
        days.*,
        lag(days.mrr, 1, 0::numeric) over (order by days.date) as mrr_before,
        coalesce(lag(days.is_unknown) over (order by days.date), false) as was_unknown
    from days
)

select compared.*
from compared
where
    not compared.is_unknown
    and not compared.was_unknown
    and compared.mrr - compared.mrr_before <> compared.moved
