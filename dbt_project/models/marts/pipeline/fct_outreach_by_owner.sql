{{ config(
    unique_key='owner_id',
    indexes=[{'columns': ['owner_id'], 'unique': true}],
) }}

-- Who reached out how often yesterday and in the last seven whole days, beside the seven before. A touch is an e-mail
-- sent or a call made.
with weeks as (
    select
        daily.*,
        daily.emails_sent + daily.calls_made as touches,
        daily.date = {{ as_of_day() }} - 1 as is_yesterday,
        daily.date >= {{ as_of_day() }} - 7 as is_last_week
    from {{ ref('fct_outreach_daily') }} as daily
    where daily.date between {{ as_of_day() }} - 14 and {{ as_of_day() }} - 1
),

summed as (
    select
        weeks.owner_id,
        coalesce(sum(weeks.emails_sent) filter (where weeks.is_yesterday), 0)::bigint as emails_yesterday,
        coalesce(sum(weeks.calls_made) filter (where weeks.is_yesterday), 0)::bigint as calls_yesterday,
        coalesce(sum(weeks.calls_reached) filter (where weeks.is_yesterday), 0)::bigint as reached_yesterday,
        coalesce(sum(weeks.replies) filter (where weeks.is_yesterday), 0)::bigint as replies_yesterday,
        coalesce(sum(weeks.emails_sent) filter (where weeks.is_last_week), 0)::bigint as emails_7d,
        coalesce(sum(weeks.emails_bounced) filter (where weeks.is_last_week), 0)::bigint as bounced_7d,
        coalesce(sum(weeks.replies) filter (where weeks.is_last_week), 0)::bigint as replies_7d,
        coalesce(sum(weeks.touches) filter (where weeks.is_last_week), 0)::bigint as touches_7d,
        coalesce(sum(weeks.touches) filter (where not weeks.is_last_week), 0)::bigint as touches_before_7d
    from weeks
    group by weeks.owner_id
)

select
    summed.owner_id,
    coalesce(split_part(owners.owner_name, ' ', 1), 'nobody') as owner,
    summed.emails_yesterday,
    summed.calls_yesterday,
    summed.reached_yesterday,
    summed.replies_yesterday,
    summed.emails_yesterday + summed.calls_yesterday + summed.replies_yesterday > 0 as was_active_yesterday,
    summed.emails_7d,
    summed.bounced_7d,
    summed.replies_7d,
    summed.touches_7d,
    summed.touches_before_7d,
    round(summed.replies_7d::numeric / nullif(summed.emails_7d, 0), 6) as reply_rate_7d
from summed
left join {{ ref('stg_hubspot__owners') }} as owners on summed.owner_id = owners.owner_id
