{{ config(
    unique_key='issue_id',
    scope='issue_id',
    changed_by={'int_github_issues': 'issue_id'},
    indexes=[{'columns': ['issue_id'], 'unique': true}, {'columns': ['opened_day']}, {'columns': ['closed_day']}],
) }}

select
    issues.issue_id,
    issues.repository,
    issues.issue_number,
    coalesce(issues.issue_type, 'none') as issue_type,
    issues.milestone_id,
    issues.is_open,
    not issues.is_open and issues.is_completed as is_completed,
    issues.is_by_bot,
    issues.is_unassigned,
    issues.opened_day,
    issues.closed_day,
    issues.cycle_days,
    issues.url
from {{ ref('int_github_issues') }} as issues
where {{ in_scope('issues.issue_id') }}
