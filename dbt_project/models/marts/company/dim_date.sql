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
        make_date(extract(year from {{ as_of_day() }})::int + 1, 12, 31) as last_day,
        {{ threshold('fiscal_year_start_month', 1) }}::int as fiscal_start_month
),

-- The 4-5-4 year ends on the Saturday nearest to 31 January, so it starts on the Sunday nearest to 1 February.
retail_years as (
    select
        starts.retail_year,
        starts.start_day as retail_year_start,
        lead(starts.start_day) over (order by starts.retail_year) as next_year_start,
        lag(starts.start_day) over (order by starts.retail_year) as last_year_start
    from (
        select
            years.retail_year,
            (
                make_date(years.retail_year, 2, 1)
                - extract(dow from make_date(years.retail_year, 2, 1))::int
                + case when extract(dow from make_date(years.retail_year, 2, 1)) > 3 then 7 else 0 end
            ) as start_day
        from span
        cross join generate_series(
            extract(year from span.first_day)::int - 2, extract(year from span.last_day)::int + 1
        ) as years (retail_year)
    ) as starts
),

-- Weeks of each retail month: quarters of 4, 5 and 4; a fifty-third week belongs to the last month.
retail_months as (
    select
        months.retail_month,
        months.first_week,
        months.last_week
    from (
        values
        (1, 1, 4), (2, 5, 9), (3, 10, 13), (4, 14, 17), (5, 18, 22), (6, 23, 26),
        (7, 27, 30), (8, 31, 35), (9, 36, 39), (10, 40, 43), (11, 44, 48), (12, 49, 53)
    ) as months (retail_month, first_week, last_week)
),

days as (
    select
        day.date::date as date,
        span.fiscal_start_month,
        date_trunc('week', day.date)::date as week_start,
        date_trunc('month', day.date)::date as month_start,
        (date_trunc('month', day.date) + interval '1 month - 1 day')::date as month_end,
        date_trunc('quarter', day.date)::date as quarter_start,
        (date_trunc('quarter', day.date) + interval '3 months - 1 day')::date as quarter_end,
        date_trunc('year', day.date)::date as year_start,
        (date_trunc('year', day.date) + interval '1 year - 1 day')::date as year_end,
        (
            date_trunc('month', day.date)
            - interval '1 month' * ((extract(month from day.date)::int - span.fiscal_start_month + 12) % 12)
        )::date as fiscal_year_start
    from span
    cross join generate_series(
        span.first_day::timestamp, span.last_day::timestamp, interval '1 day'
    ) as day (date)
),

numbered as (
    select
        days.*,
        (days.fiscal_year_start + interval '1 year - 1 day')::date as fiscal_year_end,
        (days.month_start::timestamp - interval '1 month')::date as prior_month_start,
        (days.quarter_start::timestamp - interval '3 months')::date as prior_quarter_start,
        days.date - days.month_start + 1 as day_of_month,
        days.month_end - days.month_start + 1 as days_in_month,
        days.date - days.quarter_start + 1 as day_of_quarter,
        days.quarter_end - days.quarter_start + 1 as days_in_quarter,
        days.date - days.year_start + 1 as day_of_year,
        days.year_end - days.year_start + 1 as days_in_year,
        retail_years.retail_year,
        retail_years.retail_year_start,
        retail_years.last_year_start,
        (retail_years.next_year_start - retail_years.retail_year_start) / 7 as weeks_in_retail_year,
        (days.date - retail_years.retail_year_start) / 7 + 1 as retail_week
    from days
    inner join retail_years
        on
            days.date >= retail_years.retail_year_start
            and days.date < retail_years.next_year_start
),

holidays_of_day as (
    select
        holidays.date,
        string_agg(holidays.holiday_name, ', ' order by holidays.kind, holidays.holiday_name) as holiday_name,
        bool_or(holidays.kind = 'federal') as is_public_holiday
    from {{ ref('holidays') }} as holidays
    group by holidays.date
),

promotions_of_day as (
    select
        numbered.date,
        string_agg(promotions.promotion_name, ', ' order by promotions.promotion_name) as promotion_name
    from numbered
    inner join {{ ref('promotions') }} as promotions
        on
            numbered.date >= promotions.first_day
            and numbered.date <= promotions.last_day
    group by numbered.date
)

select
    numbered.date,
    extract(isodow from numbered.date)::int as iso_weekday,
    trim(to_char(numbered.date, 'Day')) as weekday_name,
    extract(isoyear from numbered.date)::int as iso_year,
    extract(week from numbered.date)::int as iso_week,
    numbered.week_start,
    numbered.month_start,
    numbered.month_end,
    numbered.quarter_start,
    numbered.quarter_end,
    numbered.year_start,
    numbered.year_end,
    -- Named after the calendar year in which it ends.
    extract(year from numbered.fiscal_year_end)::int as fiscal_year,
    numbered.fiscal_year_start,
    numbered.fiscal_year_end,
    ((extract(month from numbered.date)::int - numbered.fiscal_start_month + 12) % 12) / 3 + 1 as fiscal_quarter,
    (extract(month from numbered.date)::int - numbered.fiscal_start_month + 12) % 12 + 1 as fiscal_month,
    numbered.retail_year,
    (least(numbered.retail_week, 52) - 1) / 13 + 1 as retail_quarter,
    retail_months.retail_month,
    numbered.retail_week,
    numbered.weeks_in_retail_year,
    numbered.retail_year_start,
    numbered.retail_year_start + (retail_months.first_week - 1) * 7 as retail_month_start,
    numbered.retail_year_start
    + least(retail_months.last_week, numbered.weeks_in_retail_year) * 7 - 1 as retail_month_end,
    numbered.day_of_month,
    numbered.days_in_month,
    round(numbered.day_of_month::numeric / numbered.days_in_month, 8) as month_elapsed_share,
    numbered.day_of_quarter,
    numbered.days_in_quarter,
    round(numbered.day_of_quarter::numeric / numbered.days_in_quarter, 8) as quarter_elapsed_share,
    numbered.day_of_year,
    numbered.days_in_year,
    round(numbered.day_of_year::numeric / numbered.days_in_year, 8) as year_elapsed_share,
    numbered.date - 7 as same_weekday_last_week,
    numbered.date - 364 as same_weekday_last_year,
    -- A fifty-third week has no counterpart in a year of fifty-two.
    case
        when numbered.last_year_start + (numbered.date - numbered.retail_year_start) < numbered.retail_year_start
            then numbered.last_year_start + (numbered.date - numbered.retail_year_start)
    end as same_retail_day_last_year,
    (numbered.date::timestamp - interval '1 year')::date as same_date_last_year,
    (numbered.date::timestamp - interval '1 month')::date as same_day_prior_month,
    (numbered.date::timestamp - interval '3 months')::date as same_day_prior_quarter,
    -- The day on which the prior period was as far gone: whole days, at least the first.
    numbered.prior_month_start + greatest(
        round(
            numbered.day_of_month::numeric * (numbered.month_start - numbered.prior_month_start)
            / numbered.days_in_month
        )::int,
        1
    ) - 1 as paced_day_prior_month,
    numbered.prior_quarter_start + greatest(
        round(
            numbered.day_of_quarter::numeric * (numbered.quarter_start - numbered.prior_quarter_start)
            / numbered.days_in_quarter
        )::int,
        1
    ) - 1 as paced_day_prior_quarter,
    holidays_of_day.date is not null as is_holiday,
    coalesce(holidays_of_day.is_public_holiday, false) as is_public_holiday,
    holidays_of_day.holiday_name,
    promotions_of_day.date is not null as is_promotion,
    promotions_of_day.promotion_name,
    numbered.date < {{ as_of_day() }} as is_complete
from numbered
inner join retail_months
    on
        numbered.retail_week >= retail_months.first_week
        and numbered.retail_week <= retail_months.last_week
left join holidays_of_day on numbered.date = holidays_of_day.date
left join promotions_of_day on numbered.date = promotions_of_day.date
