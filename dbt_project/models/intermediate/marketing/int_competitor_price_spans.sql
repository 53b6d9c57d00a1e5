{{ config(
    unique_key='competitor_price_id',
    scope='sku',
    changed_by={
        'stg_airtable__competitor_prices': 'sku',
        'int_own_prices': 'sku',
        'stg_shopify__variants': 'sku',
    },
    indexes=[{'columns': ['sku']}, {'columns': ['competitor_price_id'], 'unique': true}, {'columns': ['valid_from']}],
) }}

-- Each price seen at a competitor, the one before it, how long it was the latest known, and what we asked for ours
-- then: the middle of our daily prices over the days before, else the shop's present list price. Of two looks on one
-- day the later counts.
with looks as (
    select distinct on (prices.competitor, prices.sku, {{ company_day('prices.seen_at') }})
        prices.*,
        {{ company_day('prices.seen_at') }} as seen_day
    from {{ ref('stg_airtable__competitor_prices') }} as prices
    where
        prices.seen_at is not null
        and prices.competitor is not null
        and {{ in_scope('prices.sku') }}
    order by prices.competitor asc, prices.sku asc, {{ company_day('prices.seen_at') }}, prices.seen_at desc
),

list_prices as (
    select
        variants.sku,
        min(variants.price) as price
    from {{ ref('stg_shopify__variants') }} as variants
    where {{ in_scope('variants.sku') }}
    group by variants.sku
),

priced as (
    select
        looks.competitor_price_id,
        looks.competitor,
        looks.sku,
        looks.product_name,
        looks.seen_at,
        looks.seen_day,
        looks.is_in_stock,
        looks.price * case when looks.currency = {{ company_currency() }} then 1 else fx.rate end as price,
        coalesce(
            own.price,
            list_prices.price * case
                when companies.shop_currency = companies.company_currency then 1
                else shop_fx.rate
            end
        ) as own_price
    from looks
    cross join {{ ref('int_company') }} as companies
    left join {{ ref('int_fx_rates') }} as fx
        on
            looks.currency = fx.currency
            and looks.seen_day >= fx.valid_from
            and looks.seen_day < fx.valid_to
    left join {{ ref('int_fx_rates') }} as shop_fx
        on
            companies.shop_currency = shop_fx.currency
            and looks.seen_day >= shop_fx.valid_from
            and looks.seen_day < shop_fx.valid_to
    left join list_prices on looks.sku = list_prices.sku
    left join lateral (
        select percentile_disc(0.5) within group (order by daily.price) as price
        from {{ ref('int_own_prices') }} as daily
        where
            daily.sku = looks.sku
            and daily.date between looks.seen_day - 30 and looks.seen_day
    ) as own on true
),

ordered as (
    select
        priced.*,
        lag(priced.price) over in_turn as previous_price,
        lag(priced.seen_day) over in_turn as previous_day,
        lead(priced.seen_day) over in_turn as next_day
    from priced
    window in_turn as (partition by priced.competitor, priced.sku order by priced.seen_day)
)

select
    ordered.competitor_price_id,
    ordered.competitor,
    ordered.sku,
    ordered.product_name,
    ordered.seen_at,
    ordered.seen_day,
    ordered.is_in_stock,
    ordered.price,
    ordered.previous_price,
    ordered.previous_day,
    round(ordered.price / nullif(ordered.previous_price, 0) - 1, 6) as change_share,
    ordered.own_price,
    round(ordered.price / nullif(ordered.own_price, 0) - 1, 6) as gap_share,
    -- What nobody can buy undercuts nobody.
    ordered.price <= ordered.own_price * (1 - {{ threshold('competitor_undercut_share', 0.10) }})
    and ordered.is_in_stock is not false as is_undercut,
    ordered.seen_day as valid_from,
    least(
        ordered.next_day - 1, ordered.seen_day + {{ threshold('competitor_price_valid_days', 14) }}::int - 1
    ) as valid_until
from ordered
