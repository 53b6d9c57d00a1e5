{{ config(
    unique_key='channel',
    indexes=[{'columns': ['channel'], 'unique': true}],
) }}

-- Each ad channel over its last seven days that were entered, beside the four weeks before them. A day that nobody
-- entered yet moves the week back; it is never taken for one without spend.
with entered as (
    select
        daily.date,
        daily.channel,
        {{ complete_sum('daily.spend') }} as spend,
        {{ complete_sum('daily.revenue') }} as revenue,
        {{ complete_sum('daily.conversions') }} as conversions,
        {{ complete_sum('daily.barren_spend') }} as barren_spend,
        bool_or(daily.is_barren) as is_barren
    from {{ ref('fct_paid_media_daily') }} as daily
    where
        daily.is_entered
        and daily.date between {{ as_of_day() }} - 45 and {{ as_of_day() }} - 1
    group by daily.date, daily.channel
),

ends as (
    select
        entered.channel,
        max(entered.date) as last_day
    from entered
    group by entered.channel
    having max(entered.date) >= {{ as_of_day() }} - 7
),

summed as (
    select
        ends.channel,
        ends.last_day,
        sum(entered.spend) filter (where entered.date > ends.last_day - 7) as spend,
        sum(entered.revenue) filter (where entered.date > ends.last_day - 7) as revenue,
        sum(entered.conversions) filter (where entered.date > ends.last_day - 7) as conversions,
        count(*) filter (where entered.is_barren and entered.date > ends.last_day - 7) as barren_days,
        sum(entered.barren_spend) filter (where entered.date > ends.last_day - 7) as barren_spend,
        sum(entered.revenue) filter (where entered.date <= ends.last_day - 7)
        / nullif(sum(entered.spend) filter (where entered.date <= ends.last_day - 7), 0) as usual_roas
    from ends
    inner join entered
        on
            ends.channel = entered.channel
            and entered.date > ends.last_day - 35
    group by ends.channel, ends.last_day
),

rated as (
    select
        summed.*,
        round(summed.revenue / nullif(summed.spend, 0), 4) as roas
    from summed
)

select
    rated.channel,
    rated.last_day,
    rated.spend,
    rated.revenue,
    {{ company_currency() }} as currency,
    rated.conversions,
    rated.roas,
    round(rated.usual_roas, 4) as usual_roas,
    rated.barren_days,
    nullif(rated.barren_spend, 0) as barren_spend,
    case
        when rated.spend is null or rated.revenue is null then null
        when rated.barren_days > 0 then 'days without any conversion'
        when rated.spend < {{ threshold('ads_judged_spend', 100) }} then 'too little spent to judge'
        when rated.roas >= {{ threshold('ads_roas_good', 3) }} then 'good return'
        when rated.roas < {{ threshold('ads_roas_poor', 2) }} then 'poor return'
        else 'fair return'
    end as finding
from rated
