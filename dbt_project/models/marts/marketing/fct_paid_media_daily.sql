{{ config(
    unique_key=['date', 'channel', 'campaign'],
    scope='date',
    changed_by={'stg_airtable__paid_media_spend': 'spent_on', 'int_clock': []},
    recent_days=4,
    indexes=[{'columns': ['date', 'channel', 'campaign'], 'unique': true}],
) }}

with media as (
    select
        records.spent_on as date,
        coalesce(records.channel, 'unknown') as channel,
        coalesce(records.campaign, 'all') as campaign,
        records.spend,
        records.impressions,
        records.clicks,
        records.conversions,
        records.conversion_value,
        case when records.currency = {{ company_currency() }} then 1 else fx.rate end as fx_rate
    from {{ ref('stg_airtable__paid_media_spend') }} as records
    left join {{ ref('int_fx_rates') }} as fx
        on
            records.currency = fx.currency
            and records.spent_on >= fx.valid_from
            and records.spent_on < fx.valid_to
    where {{ in_scope('records.spent_on') }}
),

entered as (
    select
        media.date,
        media.channel,
        media.campaign,
        {{ complete_sum('media.spend * media.fx_rate') }} as spend,
        {{ complete_sum('media.impressions') }} as impressions,
        {{ complete_sum('media.clicks') }} as clicks,
        {{ complete_sum('media.conversions') }} as conversions,
        {{ complete_sum('media.conversion_value * media.fx_rate') }} as revenue
    from media
    group by media.date, media.channel, media.campaign
),

-- Spend is entered by hand, a day or more later. Until then the day of a channel that was running is unknown: what is
-- not entered yet is not zero. After three days nobody will enter it any more, and the channel stood still.
running as (
    select distinct
        coalesce(records.channel, 'unknown') as channel,
        records.spent_on
    from {{ ref('stg_airtable__paid_media_spend') }} as records
    where records.spent_on between {{ as_of_day() }} - 17 and {{ as_of_day() }} - 1
),

awaited as (
    select
        days.date,
        running.channel
    from {{ days_in_scope(ref('stg_airtable__paid_media_spend'), 'spent_on') }} as days
    inner join running on days.date > running.spent_on and days.date <= running.spent_on + 14
    where days.date between {{ as_of_day() }} - 3 and {{ as_of_day() }} - 1
    group by days.date, running.channel
    except
    select
        running.spent_on as date,
        running.channel
    from running
),

days as (
    select
        entered.*,
        true as is_entered
    from entered
    union all
    select
        awaited.date,
        awaited.channel,
        'all' as campaign,
        null as spend,
        null as impressions,
        null as clicks,
        null as conversions,
        null as revenue,
        false as is_entered
    from awaited
),

judged as (
    select
        days.*,
        days.spend >= {{ threshold('ads_barren_spend', 30) }} and days.conversions = 0 as is_barren,
        round(days.revenue / nullif(days.spend, 0), 6) as roas
    from days
)

select
    judged.date,
    judged.channel,
    judged.campaign,
    judged.is_entered,
    judged.spend,
    judged.impressions,
    judged.clicks,
    judged.conversions,
    judged.revenue,
    {{ company_currency() }} as currency,
    judged.roas,
    case
        when judged.roas >= {{ threshold('ads_roas_good', 3) }} then 'good'
        when judged.roas < {{ threshold('ads_roas_poor', 2) }} then 'poor'
        when judged.roas is not null then 'fair'
    end as roas_band,
    round(judged.spend / nullif(judged.conversions, 0), 4) as cost_per_acquisition,
    judged.is_barren,
    case when judged.is_barren is null then null when judged.is_barren then judged.spend else 0 end as barren_spend
from judged
