{{ config(
    unique_key='project_id',
    indexes=[{'columns': ['project_id'], 'unique': true}],
) }}

-- Open projects of all bases as a person goes through them, with why each has its light.
select
    projects.project_id,
    named.project_name as project,
    projects.project_code,
    bases.base_name as base,
    split_part(named.owner_name, ' ', 1) as owner,
    projects.division,
    projects.state,
    projects.rag,
    case projects.rag when 'red' then 1 when 'amber' then 2 else 3 end as severity,
    projects.due_on,
    projects.due_on - {{ as_of_day() }} as days_to_due,
    nullif(projects.days_overdue, 0) as days_overdue,
    projects.days_unchanged,
    projects.progress,
    projects.is_unowned,
    case projects.reason when 'stated' then 'set by hand' else replace(projects.reason, '_', ' ') end as reason
from {{ ref('fct_projects') }} as projects
inner join {{ ref('stg_airtable__projects') }} as named on projects.project_id = named.project_id
left join {{ ref('stg_airtable__bases') }} as bases on projects.base_id = bases.base_id
where projects.is_open
