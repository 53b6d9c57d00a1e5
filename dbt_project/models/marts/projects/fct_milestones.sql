{{ config(
    unique_key='milestone_id',
    indexes=[{'columns': ['milestone_id'], 'unique': true}],
) }}

with held as (
    select
        issues.milestone_id,
        count(*) filter (where issues.is_open) as issues_open,
        count(*) filter (where not issues.is_open) as issues_closed
    from {{ ref('int_github_issues') }} as issues
    where issues.milestone_id is not null
    group by issues.milestone_id
)

select
    milestones.milestone_id,
    milestones.repository,
    milestones.milestone_number,
    {{ company_day('milestones.created_at') }} as opened_day,
    milestones.due_on,
    case when milestones.state = 'closed' then {{ company_day('milestones.closed_at') }} end as closed_day,
    coalesce(held.issues_open, 0) as issues_open,
    coalesce(held.issues_closed, 0) as issues_closed,
    coalesce(milestones.state = 'open' and milestones.due_on < {{ as_of_day() }}, false) as is_overdue,
    milestones.state = 'closed' and coalesce(held.issues_open, 0) > 0 as is_closed_too_early
from {{ ref('stg_github__milestones') }} as milestones
left join held on milestones.milestone_id = held.milestone_id
