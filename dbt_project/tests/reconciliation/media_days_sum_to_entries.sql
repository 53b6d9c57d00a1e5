-- Every dollar that was entered is on its day, once: no rate, no campaign and no channel loses any.
with daily as (
    select
        days.date,
        count(*) filter (where days.spend is null and days.is_entered) as unknown,
        sum(days.spend) as spend
    from {{ ref('fct_paid_media_daily') }} as days
    group by days.date
),

entered as (
    select
        records.spent_on as date,
        count(*) filter (where records.currency is distinct from {{ company_currency() }}) as foreign_entries,
        sum(records.spend) as spend
    from {{ ref('stg_airtable__paid_media_spend') }} as records
    where records.spent_on is not null
    group by records.spent_on
)

select
    coalesce(daily.date, entered.date) as date,
    daily.spend,
    entered.spend as entered_spend
from entered
left join daily on entered.date = daily.date
where
    entered.foreign_entries = 0
    and coalesce(daily.unknown, 0) = 0
    and daily.spend is distinct from entered.spend
