{{ config(
    unique_key='project_id',
    indexes=[{'columns': ['project_id'], 'unique': true}],
) }}

-- Each project with the light it deserves. The rule reads the due date, the status and the last change; where the
-- people in charge show a worse light, theirs holds, for they know more.
with known as (
    select
        projects.*,
        coalesce(
            case when projects.completed_on is not null and statuses.state is distinct from 'cancelled' then 'done' end,
            statuses.state,
            'running'
        ) as state,
        {{ as_of_day() }} - projects.due_on as days_overdue,
        {{ as_of_day() }} - coalesce({{ company_day('projects.changed_at') }}, {{ company_day('projects.created_at') }})
            as days_unchanged
    from {{ ref('stg_airtable__projects') }} as projects
    left join {{ ref('project_statuses') }} as statuses on lower(trim(projects.status)) = statuses.status
    -- An empty row is no project.
    where nullif(trim(projects.project_name), '') is not null
),

judged as (
    select
        known.*,
        known.state in ('planned', 'running', 'on_hold') as is_open,
        case
            when known.days_overdue > {{ threshold('project_red_days', 7) }} then 'long_overdue'
            when known.days_overdue > 0 and (known.state = 'on_hold' or known.is_blocked) then 'overdue_and_stopped'
            when known.days_overdue > 0 then 'overdue'
            when known.state = 'on_hold' or known.is_blocked then 'stopped'
            when known.state = 'planned' and known.start_on < {{ as_of_day() }} then 'not_begun'
            when known.state = 'running' and known.due_on is null then 'no_due_date'
            when
                known.state = 'running'
                and known.days_overdue > -{{ threshold('project_due_soon_days', 7) }}
                and known.progress < {{ threshold('project_due_soon_progress', 0.7) }} then 'due_soon_and_behind'
            when
                known.state = 'running'
                and known.days_unchanged > {{ threshold('project_stale_days', 30) }} then 'unchanged'
        end as finding
    from known
),

lights as (
    select
        judged.*,
        case
            when judged.finding in ('long_overdue', 'overdue_and_stopped') then 'red'
            when judged.finding is not null then 'amber'
            else 'green'
        end as rag_by_rule
    from judged
)

select
    lights.project_id,
    lights.base_id,
    lights.project_code,
    coalesce(lights.division, 'none') as division,
    lights.state,
    lights.is_open,
    lights.start_on,
    lights.due_on,
    lights.completed_on,
    case
        when lights.is_open and lights.due_on is not null then greatest(lights.days_overdue, 0)
    end as days_overdue,
    lights.days_unchanged,
    lights.progress,
    lights.is_blocked,
    lights.owner_email is null and lights.owner_name is null as is_unowned,
    lights.rag as rag_stated,
    case when lights.is_open then lights.rag_by_rule end as rag_by_rule,
    case
        when not lights.is_open then null
        when 'red' in (lights.rag, lights.rag_by_rule) then 'red'
        when 'amber' in (lights.rag, lights.rag_by_rule) then 'amber'
        else 'green'
    end as rag,
    case
        when lights.is_open
            then coalesce(lights.finding, case when lights.rag in ('red', 'amber') then 'stated' end)
    end as reason
from lights
