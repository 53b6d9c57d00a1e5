{{ config(
    unique_key='deal_id',
    indexes=[{'columns': ['deal_id'], 'unique': true}],
) }}

-- Open deals as a person works through them: whose they are, with whom, and the first thing that is wrong. A deal whose
-- close date is tomorrow and nobody has spoken to for a month is told once, as silent.
select
    deals.deal_id,
    coalesce(companies.company_name, 'Deal ' || deals.deal_id) as deal,
    split_part(owners.owner_name, ' ', 1) as owner,
    deals.owner_id,
    deals.stage,
    deals.position,
    deals.amount_company as amount,
    {{ company_currency() }} as currency,
    -- A deal without an amount adds nothing, as in the pipeline's value; one that cannot be converted is unknown.
    case when deals.amount is null then 0 else deals.weighted_amount end as weighted_amount,
    coalesce(deals.is_high_priority, false) as is_high_priority,
    deals.created_day,
    deals.expected_close_day,
    deals.expected_close_day - {{ as_of_day() }} as days_to_close,
    -- Monday to Sunday, as people speak of a week.
    coalesce(
        deals.expected_close_day between {{ as_of_day() }} and date_trunc('week', {{ as_of_day() }})::date + 6, false
    ) as is_closing_this_week,
    deals.days_inactive,
    round(deals.days_in_stage)::integer as days_in_stage,
    deals.expected_days,
    deals.is_stale,
    case
        when deals.is_stale_critical then 'critical'
        when deals.is_stale_warning then 'warning'
        when deals.is_stale then 'stale'
    end as staleness,
    deals.is_stale_warning,
    deals.is_stale_critical,
    case
        when deals.is_stale_warning then 'no contact or move'
        when deals.expected_close_day < {{ as_of_day() }} then 'close date has passed'
        when deals.is_over_expected and deals.is_stale then 'stuck in its stage and quiet'
    end as risk,
    deals.is_stale_warning
    or coalesce(deals.expected_close_day < {{ as_of_day() }}, false)
    or coalesce(deals.is_over_expected and deals.is_stale, false) as is_at_risk,
    deals.missing_fields,
    nullif(replace(deals.missing_field_list, '_', ' '), '') as missing_field_list,
    scores.value as score,
    scores.tier
from {{ ref('fct_deals') }} as deals
left join {{ ref('stg_hubspot__companies') }} as companies on deals.company_id = companies.company_id
left join {{ ref('stg_hubspot__owners') }} as owners on deals.owner_id = owners.owner_id
left join {{ ref('fct_scores') }} as scores
    on
        deals.deal_id = scores.subject_id
        and scores.score = 'deal'
        and scores.date = {{ as_of_day() }}
where not deals.is_closed
