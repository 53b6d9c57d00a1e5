{{ config(
    unique_key=['date', 'channel'],
    scope='date',
    changed_by={'fct_channel_sales_daily': 'since date', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'channel'], 'unique': true}],
) }}

-- Each channel's share of the sales of the last 28 days, four whole weeks, beside its target. Off target is a matter
-- of the target: a channel that is to bring 10 % may bring 8 to 12.
with days as (
    select scoped.date
    from {{ days_in_scope(ref('fct_channel_sales_daily'), 'date') }} as scoped
    where
        scoped.date < {{ as_of_day() }}
        -- Not before the first four weeks are whole.
        and scoped.date >= (select min(sales.date) + 27 from {{ ref('fct_channel_sales_daily') }} as sales)
),

targets as (
    select
        days.date,
        targets.channel,
        targets.version,
        targets.target_share
    from days
    inner join {{ ref('channel_targets') }} as targets on days.date >= targets.valid_from
    where targets.version = (
        select all_targets.version
        from {{ ref('channel_targets') }} as all_targets
        where all_targets.valid_from <= days.date
        order by all_targets.valid_from desc, all_targets.version desc
        limit 1
    )
),

sold as (
    select
        days.date,
        sales.channel,
        {{ complete_sum('sales.sales_amount') }} as sales_amount
    from days
    inner join {{ ref('fct_channel_sales_daily') }} as sales
        on
            days.date >= sales.date
            and sales.date > days.date - 28
    group by days.date, sales.channel
),

totals as (
    select
        sold.date,
        {{ complete_sum('sold.sales_amount') }} as sales_amount
    from sold
    group by sold.date
),

shares as (
    select
        targets.date,
        targets.channel,
        targets.version,
        targets.target_share,
        case when sold.channel is null then 0 else sold.sales_amount end as sales_amount,
        totals.sales_amount as total_amount,
        case when sold.channel is null then 0 else sold.sales_amount end / nullif(totals.sales_amount, 0) as share
    from targets
    inner join totals on targets.date = totals.date
    left join sold
        on
            targets.date = sold.date
            and targets.channel = sold.channel
)

select
    shares.date,
    shares.channel,
    shares.version as target_version,
    shares.target_share,
    shares.sales_amount,
    shares.total_amount,
    {{ company_currency() }} as currency,
    round(shares.share, 8) as share,
    round(shares.share / nullif(shares.target_share, 0) - 1, 8) as deviation,
    abs(shares.share - shares.target_share)
    > shares.target_share * {{ threshold('channel_balance_share', 0.20) }} as is_off_target
from shares
