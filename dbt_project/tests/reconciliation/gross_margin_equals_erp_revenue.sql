-- Revenue and cost by kind of document sum to those of the day.
with margins as (
    select
        daily.date,
        sum(daily.revenue) as revenue,
        sum(daily.cogs) as cogs
    from {{ ref('fct_gross_margin_daily') }} as daily
    group by daily.date
)

select
    revenues.date,
    revenues.revenue,
    margins.revenue as revenue_by_document
from {{ ref('fct_erp_revenue_daily') }} as revenues
left join margins on revenues.date = margins.date
where
    revenues.revenue <> coalesce(margins.revenue, 0)
    or revenues.cogs <> coalesce(margins.cogs, 0)
