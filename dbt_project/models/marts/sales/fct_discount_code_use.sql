{{ config(
    unique_key='code',
    indexes=[{'columns': ['code'], 'unique': true}],
) }}

-- Each code's last seven whole days against what is usual of it: the eight weeks before. Inside its band a code is as
-- it was; outside, it is used after its end, unknown to the shop, or used far more than chance and habit explain. A
-- code of a promotion that runs has no habit yet, and none is held against it.
with uses as (
    select
        daily.date,
        daily.code,
        daily.orders,
        daily.discount_amount,
        daily.sales_amount,
        daily.gross_amount
    from {{ ref('fct_discount_codes_daily') }} as daily
    where
        daily.is_code
        and daily.date between {{ as_of_day() }} - 63 and {{ as_of_day() }} - 1
),

listed as (
    select
        upper(each_code.code) as code,
        {{ company_day('min(discounts.starts_at)') }} as first_day,
        -- A discount without an end has none.
        case
            when bool_and(discounts.ends_at is not null)
                then {{ company_day("(max(discounts.ends_at) - interval '1 second')") }}
        end as last_day
    from {{ ref('stg_shopify__discounts') }} as discounts
    cross join unnest(discounts.codes) as each_code (code)
    group by upper(each_code.code)
),

summed as (
    select
        uses.code,
        coalesce(sum(uses.orders) filter (where uses.date >= {{ as_of_day() }} - 7), 0)::bigint as orders,
        coalesce(sum(uses.discount_amount) filter (where uses.date >= {{ as_of_day() }} - 7), 0) as discount_amount,
        coalesce(sum(uses.sales_amount) filter (where uses.date >= {{ as_of_day() }} - 7), 0) as sales_amount,
        coalesce(sum(uses.gross_amount) filter (where uses.date >= {{ as_of_day() }} - 7), 0) as gross_amount,
        coalesce(sum(uses.orders) filter (where uses.date < {{ as_of_day() }} - 7), 0) / 8.0 as usual_orders,
        max(uses.date) as last_used_day
    from uses
    group by uses.code
),

placed as (
    select
        summed.*,
        codes.unlisted_codes,
        codes.ended_day,
        codes.first_day
    from summed
    -- An order may bear several codes; one that the shop does not have, or that is over, is enough.
    cross join lateral (
        select
            count(*) filter (where listed.code is null) as unlisted_codes,
            min(listed.last_day) as ended_day,
            max(listed.first_day) as first_day
        from string_to_table(summed.code, ' + ') as part (code)
        left join listed on part.code = listed.code
    ) as codes
),

judged as (
    select
        placed.*,
        case
            when placed.orders = 0 then 'not used'
            when (select count(*) from listed) > 0 and placed.unlisted_codes > 0 then 'unknown to the shop'
            when
                placed.ended_day is not null
                and placed.last_used_day > placed.ended_day then 'used after its end'
            when placed.ended_day is not null or placed.first_day > {{ as_of_day() }} - 35 then 'promotion running'
            when
                placed.orders >= {{ threshold('promo_use_factor', 2) }} * placed.usual_orders
                and placed.orders - placed.usual_orders
                >= {{ threshold('promo_use_surprise', 3) }} * sqrt(greatest(placed.usual_orders, 1))
                then 'used far more than usual'
            else 'as usual'
        end as finding
    from placed
)

select
    judged.code,
    judged.orders,
    round(judged.usual_orders, 1) as usual_orders,
    judged.discount_amount,
    judged.sales_amount,
    {{ company_currency() }} as currency,
    round(judged.discount_amount / nullif(judged.gross_amount, 0), 6) as discount_share,
    judged.last_used_day,
    judged.ended_day,
    judged.finding,
    judged.finding in ('unknown to the shop', 'used after its end', 'used far more than usual') as is_outside_band
from judged
