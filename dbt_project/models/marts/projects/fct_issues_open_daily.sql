{{ config(
    unique_key=['date', 'repository'],
    scope='date',
    changed_by={'int_github_issues': 'opened_day..open_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'repository'], 'unique': true}],
) }}

select
    days.date,
    issues.repository,
    count(*) as issues_open,
    count(*) filter (where issues.is_unassigned) as issues_unassigned
from {{ days_in_scope(ref('int_github_issues'), 'opened_day') }} as days
inner join {{ ref('int_github_issues') }} as issues
    on
        days.date >= issues.opened_day
        and (days.date <= issues.open_until or issues.open_until is null)
where days.date <= {{ as_of_day() }}
group by days.date, issues.repository
