-- The open pipeline of the clock's day, by the history of stages, is that of the deals as they stand.
with of_days as (
    select
        coalesce(sum(daily.open_deals), 0) as deals,
        sum(daily.pipeline_value) as value
    from {{ ref('fct_pipeline_daily') }} as daily
    where daily.date = {{ as_of_day() }}
),

of_deals as (
    select
        count(*) as deals,
        sum(deals.amount_company) as value
    from {{ ref('fct_deals') }} as deals
    where not deals.is_closed
)

select
    of_days.deals as deals_of_days,
    of_deals.deals,
    of_days.value as value_of_days,
    of_deals.value
from of_days
cross join of_deals
where
    of_days.deals is distinct from of_deals.deals
    or of_days.value is distinct from of_deals.value
