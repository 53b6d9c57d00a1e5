{{ config(
    unique_key='lead_id',
    indexes=[{'columns': ['lead_id'], 'unique': true}],
) }}

-- Touches are due by age: the first, second and third. A lead that was disqualified is owed none.
with aged as (
    select
        leads.*,
        {{ as_of_day() }} - leads.created_day as age_days,
        ({{ as_of_day() }} - leads.created_day >= {{ threshold('lead_touch_first_days', 3) }})::int
        + ({{ as_of_day() }} - leads.created_day >= {{ threshold('lead_touch_second_days', 7) }})::int
        + ({{ as_of_day() }} - leads.created_day >= {{ threshold('lead_touch_third_days', 14) }})::int as touches_due
    from {{ ref('int_leads') }} as leads
)

select
    aged.lead_id,
    aged.company_id,
    aged.lifecycle_stage,
    aged.lead_status,
    aged.source,
    aged.owner_id,
    aged.created_day,
    aged.last_active_day,
    aged.age_days,
    aged.touches,
    aged.touches_due,
    aged.touches < aged.touches_due and coalesce(upper(aged.lead_status), '') <> 'UNQUALIFIED' as is_touch_overdue,
    scores.value as score,
    scores.value_low as score_low,
    scores.value_high as score_high,
    scores.confidence,
    scores.tier
from aged
left join {{ ref('fct_scores') }} as scores
    on
        aged.lead_id = scores.subject_id
        and scores.score = 'lead'
        and scores.date = {{ as_of_day() }}
