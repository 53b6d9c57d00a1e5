{{ config(
    unique_key=['date', 'channel'],
    indexes=[{'columns': ['date', 'channel'], 'unique': true}],
) }}

-- Each channel's orders over the last two or three days, whichever is further out, beside its usual share of all orders
-- and its own usual level. A season, a holiday or a promotion moves all channels and leaves their shares alone, so a
-- share is told from chance after a few weeks, and of a channel with a handful of orders a day.
with sold as (
    select
        sales.date,
        sales.channel,
        sum(sales.orders)::numeric as orders
    from {{ ref('fct_channel_sales_daily') }} as sales
    where sales.date < {{ as_of_day() }}
    group by sales.date, sales.channel
),

-- A channel is looked at from its first order on; a day without any is a day of none.
channels as (
    select
        sold.channel,
        min(sold.date) as first_day
    from sold
    where sold.orders > 0
    group by sold.channel
),

days as (
    select
        sold.date,
        sum(sold.orders) as all_orders
    from sold
    group by sold.date
),

grid as (
    select
        days.date,
        channels.channel,
        channels.first_day,
        days.all_orders,
        coalesce(sold.orders, 0) as orders
    from days
    inner join channels on days.date >= channels.first_day
    left join sold
        on
            days.date = sold.date
            and channels.channel = sold.channel
),

history as (
    select
        grid.*,
        sum(grid.orders) over eight_weeks as usual_orders,
        sum(grid.all_orders) over eight_weeks as usual_all_orders,
        avg(grid.orders) over four_weeks as usual_level,
        count(*) over eight_weeks as usual_days,
        coalesce(sum(grid.orders) over same_weekday, 0) as weekday_orders,
        coalesce(sum(grid.all_orders) over same_weekday, 0) as weekday_all_orders,
        count(*) over same_weekday as weekdays
    from grid
    window
        -- The days that are compared are no part of what they are compared with.
        eight_weeks as (
            partition by grid.channel
            order by grid.date range between interval '58 days' preceding and interval '3 days' preceding
        ),
        four_weeks as (
            partition by grid.channel
            order by grid.date range between interval '30 days' preceding and interval '3 days' preceding
        ),
        same_weekday as (
            partition by grid.channel, extract(isodow from grid.date)
            order by grid.date range between interval '56 days' preceding and interval '1 day' preceding
        )
),

expected as (
    select
        history.*,
        -- A weekday's own share, drawn towards that of all days: it rests on eight days at most.
        history.all_orders * (
            history.weekday_orders + 60 * history.usual_orders / history.usual_all_orders
        ) / (history.weekday_all_orders + 60) as by_share,
        -- None in four weeks is taken for one in twenty days.
        greatest(history.usual_level, 0.05) * (
            history.weekday_orders + 2 * history.usual_orders / history.usual_days
        ) / ((history.weekdays + 2) * history.usual_orders / history.usual_days) as by_level
    from history
    where
        history.usual_days >= 28
        and history.usual_orders > 0
),

together as (
    select
        expected.date,
        expected.channel,
        expected.orders as orders_1d,
        spans.days,
        sum(spanned.orders) as orders,
        sum(spanned.all_orders) as all_orders,
        sum(spanned.by_share) as by_share,
        sum(spanned.by_level) as by_level
    from expected
    cross join (values (2), (3)) as spans (days)
    inner join expected as spanned
        on
            expected.channel = spanned.channel
            and expected.date >= spanned.date
            and expected.date - spans.days < spanned.date
    group by expected.date, expected.channel, expected.orders, spans.days
    having
        count(*) = spans.days
        and sum(spanned.by_share) < sum(spanned.all_orders)
),

-- Half an order is added, as orders come whole; more than expected is no fall.
halved as (
    select
        together.*,
        least(together.orders + 0.5, together.by_share) as of_share,
        least(together.orders + 0.5, together.by_level) as of_level
    from together
),

-- How far a count fell below what was expected, in the deviations of chance: the root of the deviance, of a share among
-- all orders (binomial) and of a number of its own (Poisson).
compared as (
    select
        halved.*,
        sqrt(greatest(2 * (
            halved.of_share * ln(halved.of_share / halved.by_share)
            + (halved.all_orders - halved.of_share)
            * ln((halved.all_orders - halved.of_share) / (halved.all_orders - halved.by_share))
        ), 0)) as share_surprise,
        sqrt(greatest(2 * (
            halved.of_level * ln(halved.of_level / halved.by_level) - halved.of_level + halved.by_level
        ), 0)) as level_surprise,
        row_number() over (
            partition by halved.date, halved.channel
            order by
                halved.of_share * ln(halved.of_share / halved.by_share)
                + (halved.all_orders - halved.of_share)
                * ln((halved.all_orders - halved.of_share) / (halved.all_orders - halved.by_share)) desc,
                halved.days
        ) as place
    from halved
)

select
    compared.date,
    compared.channel,
    compared.orders_1d::bigint as orders,
    compared.days,
    compared.orders::bigint as orders_together,
    round(compared.by_share, 4) as expected_by_share,
    round(compared.by_level, 4) as expected_by_level,
    round(compared.share_surprise, 4) as share_surprise,
    round(compared.level_surprise, 4) as level_surprise,
    round(compared.orders / compared.by_share, 4) as demand_factor
from compared
where compared.place = 1
