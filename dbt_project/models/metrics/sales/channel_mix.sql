{{ config(changed_by={'fct_channel_sales_daily': 'date'}) }}

with channels as (
    select
        daily.date,
        daily.channel,
        {{ complete_sum('daily.sales_amount') }} as sales_amount
    from {{ ref('fct_channel_sales_daily') }} as daily
    group by daily.date, daily.channel
),

days as (
    select
        channels.date,
        {{ complete_sum('channels.sales_amount') }} as sales_amount,
        {{ complete_sum("case when channels.channel = 'web' then channels.sales_amount else 0 end") }} as own_amount
    from channels
    group by channels.date
)

select
    days.date,
    'all' as dimension,
    'all' as dimension_value,
    round(days.own_amount / nullif(days.sales_amount, 0), 8) as value,
    days.own_amount as numerator,
    days.sales_amount as denominator
from days
union all
select
    days.date,
    'channel' as dimension,
    channels.channel as dimension_value,
    round(channels.sales_amount / nullif(days.sales_amount, 0), 8) as value,
    channels.sales_amount as numerator,
    days.sales_amount as denominator
from days
inner join channels on days.date = channels.date
