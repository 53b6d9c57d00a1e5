{{ config(
    unique_key='date',
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- From a year before the first order to the end of the year after the clock's.
with span as (
    select
        coalesce(
            (select min(orders.sales_day) from {{ ref('int_orders') }} as orders), {{ as_of_day() }}
        ) - 371 as first_day,
        make_date(extract(year from {{ as_of_day() }})::int + 1, 12, 31) as last_day
),

days as (
    select day.date::date as date
    from span
    cross join generate_series(
        span.first_day::timestamp, span.last_day::timestamp, interval '1 day'
    ) as day (date)
)

select
    days.date,
    extract(isodow from days.date)::int as iso_weekday,
    trim(to_char(days.date, 'Day')) as weekday_name,
    extract(isoyear from days.date)::int as iso_year,
    extract(week from days.date)::int as iso_week,
    date_trunc('week', days.date::timestamp)::date as week_start,
    date_trunc('month', days.date::timestamp)::date as month_start,
    (date_trunc('month', days.date::timestamp) + interval '1 month - 1 day')::date as month_end,
    date_trunc('quarter', days.date::timestamp)::date as quarter_start,
    make_date(extract(year from days.date)::int, 1, 1) as year_start,
    days.date - 7 as same_weekday_last_week,
    days.date - 364 as same_weekday_last_year,
    days.date < {{ as_of_day() }} as is_complete
from days
