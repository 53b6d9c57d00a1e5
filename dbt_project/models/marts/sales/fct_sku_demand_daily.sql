{{ config(
    unique_key=['date', 'sku'],
    scope='date',
    changed_by={'fct_order_lines': 'since sales_day', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'sku'], 'unique': true}],
) }}

-- Each SKU on the days it sold, beside what it usually sells and for how much. Consumers' channels: a dealer orders
-- what he orders. A day on which the whole shop sells more is no news about one SKU, so what is expected rises with it.
with days as (
    select scoped.date
    from {{ days_in_scope(ref('fct_order_lines'), 'sales_day') }} as scoped
    where scoped.date < {{ as_of_day() }}
),

history as (
    select min(all_lines.sales_day) as first_day
    from {{ ref('fct_order_lines') }} as all_lines
),

sold as (
    select
        lines.sales_day as date,
        lines.sku,
        count(*) as order_lines,
        sum(lines.quantity) as units,
        {{ complete_sum('lines.gross_amount_company') }} as gross_amount
    from {{ ref('fct_order_lines') }} as lines
    where
        lines.sku is not null
        and lines.channel <> 'wholesale'
        and not lines.is_cancelled
        and not lines.is_gift_card
        -- The usual of the first day in scope is known from the 91 days before the day before it.
        and lines.sales_day >= (select min(days.date) from days) - 93
    group by lines.sales_day, lines.sku
),

shop as (
    select
        sold.date,
        sum(sold.order_lines) as order_lines
    from sold
    group by sold.date
),

shop_usual as (
    select
        shop.date,
        shop.order_lines,
        case
            when lag(shop.date) over by_day = shop.date - 1 then lag(shop.order_lines) over by_day
            else 0
        end as order_lines_before,
        sum(shop.order_lines) over before / nullif(
            least(shop.date - 1 - history.first_day, 91), 0
        ) as usual_order_lines
    from shop
    cross join history
    window
        by_day as (order by shop.date),
        before as (
            order by shop.date range between interval '92 days' preceding and interval '2 days' preceding
        )
),

usual as (
    select
        sold.*,
        case
            when lag(sold.date) over by_day = sold.date - 1 then lag(sold.order_lines) over by_day
            else 0
        end as order_lines_before,
        sum(sold.order_lines) over before as order_lines_91d,
        sum(sold.units) over before as units_91d,
        sum(sold.gross_amount) over before as gross_amount_91d,
        count(*) filter (where sold.gross_amount is null) over before as unpriced_91d
    from sold
    window
        by_day as (partition by sold.sku order by sold.date),
        before as (
            partition by sold.sku
            order by sold.date range between interval '92 days' preceding and interval '2 days' preceding
        )
),

compared as (
    select
        usual.date,
        usual.sku,
        usual.order_lines,
        usual.order_lines + usual.order_lines_before as order_lines_2d,
        usual.units,
        usual.gross_amount,
        -- What never sold before has no usual; and after weeks without stock a low one; one in three days is the least.
        greatest(usual.order_lines_91d / least(usual.date - 1 - history.first_day, 91), 0.35)
        * greatest(shop_usual.order_lines / nullif(shop_usual.usual_order_lines, 0), 1) as expected_1d,
        greatest(usual.order_lines_91d / least(usual.date - 1 - history.first_day, 91), 0.35)
        * (
            greatest(shop_usual.order_lines / nullif(shop_usual.usual_order_lines, 0), 1)
            + greatest(shop_usual.order_lines_before / nullif(shop_usual.usual_order_lines, 0), 1)
        ) as expected_2d,
        usual.gross_amount / nullif(usual.units, 0) as unit_price,
        case
            when usual.unpriced_91d = 0 then usual.gross_amount_91d / nullif(usual.units_91d, 0)
        end as usual_unit_price
    from usual
    inner join days on usual.date = days.date
    inner join shop_usual on usual.date = shop_usual.date
    cross join history
    -- The usual of less than four weeks is none.
    where usual.date >= history.first_day + 29
)

select
    compared.date,
    compared.sku,
    compared.order_lines,
    compared.order_lines_2d::bigint as order_lines_2d,
    compared.units::bigint as units,
    round(compared.expected_1d, 4) as expected_order_lines,
    round(compared.expected_2d, 4) as expected_order_lines_2d,
    -- How far out, in units of what counts of this size vary by: of the day, or of it and the day before.
    round(
        2 * greatest(
            sqrt(compared.order_lines + 0.375) - sqrt(compared.expected_1d + 0.375),
            sqrt(compared.order_lines_2d + 0.375) - sqrt(compared.expected_2d + 0.375)
        ),
        4
    ) as demand_surprise,
    round(
        greatest(
            compared.order_lines / compared.expected_1d, compared.order_lines_2d / compared.expected_2d
        ),
        4
    ) as demand_factor,
    compared.gross_amount,
    {{ company_currency() }} as currency,
    round(compared.unit_price, 4) as unit_price,
    round(compared.usual_unit_price, 4) as usual_unit_price,
    round(compared.unit_price / nullif(compared.usual_unit_price, 0), 4) as price_factor,
    round(compared.units * compared.usual_unit_price, 2) as gross_amount_at_usual_price
from compared
