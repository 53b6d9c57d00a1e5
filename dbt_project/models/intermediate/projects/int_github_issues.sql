{{ config(
    unique_key='issue_id',
    scope='issue_id',
    changed_by={'stg_github__issues': 'issue_id'},
    indexes=[
        {'columns': ['issue_id'], 'unique': true},
        {'columns': ['opened_day']},
        {'columns': ['closed_day']},
        {'columns': ['milestone_id']},
    ],
) }}

-- Issues with the company days on which they were opened and closed. One that was opened again is open, and its
-- first closing is forgotten, as GitHub does.
select
    issues.issue_id,
    issues.repository,
    issues.issue_number,
    issues.issue_type,
    issues.milestone_id,
    issues.state = 'open' as is_open,
    coalesce(issues.state_reason, 'completed') = 'completed' as is_completed,
    issues.is_by_bot,
    cardinality(issues.assignees) = 0 as is_unassigned,
    -- What is named first in the title, where it may be the number of a purchase order.
    (regexp_match(issues.title, '^([A-Za-z]+-[A-Za-z0-9-]*[0-9])\M'))[1] as named_document,
    {{ company_day('issues.created_at') }} as opened_day,
    case when issues.state = 'closed' then {{ company_day('issues.closed_at') }} end as closed_day,
    case when issues.state = 'closed' then {{ company_day('issues.closed_at') }} - 1 end as open_until,
    case
        when issues.state = 'closed'
            then round(extract(epoch from issues.closed_at - issues.created_at) / 86400, 6)
    end as cycle_days,
    issues.url
from {{ ref('stg_github__issues') }} as issues
where {{ in_scope('issues.issue_id') }}
