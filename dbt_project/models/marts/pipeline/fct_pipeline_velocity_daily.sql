{{ config(
    unique_key='date',
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- What the pipeline brings a day if it goes on as in the last quarter: open deals x win rate x mean value of a won deal
-- / mean days to win one. Unknown until so many days of closed deals are on record, and where one part is.
with closed as (
    select
        deals.closed_day,
        count(*) filter (where deals.is_won) as won,
        count(*) as ended,
        count(deals.amount_company) filter (where deals.is_won) as valued,
        sum(deals.amount_company) filter (where deals.is_won) as won_value,
        count(deals.cycle_days) filter (where deals.is_won) as timed,
        sum(deals.cycle_days) filter (where deals.is_won) as cycle_days
    from {{ ref('fct_deals') }} as deals
    where
        deals.is_closed
        and deals.closed_day is not null
    group by deals.closed_day
),

standing as (
    select
        daily.date,
        sum(daily.open_deals)::bigint as open_deals
    from {{ ref('fct_pipeline_daily') }} as daily
    group by daily.date
),

history as (
    select min(closed.closed_day) as first_day
    from closed
),

looking_back as (
    select
        standing.date,
        standing.open_deals,
        sum(closed.won)::bigint as won_deals,
        sum(closed.ended)::bigint as closed_deals,
        sum(closed.won_value) / nullif(sum(closed.valued), 0) as mean_won_value,
        sum(closed.cycle_days) / nullif(sum(closed.timed), 0) as mean_cycle_days
    from standing
    cross join history
    left join closed
        on
            standing.date >= closed.closed_day
            and standing.date < closed.closed_day + {{ threshold('velocity_days', 90) }}::integer
    where standing.date >= history.first_day + {{ threshold('velocity_days', 90) }}::integer - 1
    group by standing.date, standing.open_deals
)

select
    looking_back.date,
    looking_back.open_deals,
    coalesce(looking_back.won_deals, 0) as won_deals,
    coalesce(looking_back.closed_deals, 0) as closed_deals,
    round(looking_back.won_deals::numeric / nullif(looking_back.closed_deals, 0), 6) as win_rate,
    round(looking_back.mean_won_value, 2) as mean_won_value,
    round(looking_back.mean_cycle_days, 2) as mean_cycle_days,
    round(
        looking_back.open_deals
        * (looking_back.won_deals::numeric / nullif(looking_back.closed_deals, 0))
        * looking_back.mean_won_value
        / nullif(looking_back.mean_cycle_days, 0),
        2
    ) as value_per_day,
    {{ company_currency() }} as currency
from looking_back
