{{ config(materialized='lasting_view') }}

select
    raw.id as milestone_id,
    m.repository,
    m.number as milestone_number,
    m.title,
    nullif(m.description, '') as description,
    m.state,
    m.open_issues as open_issue_count,
    m.closed_issues as closed_issue_count,
    m.created_at,
    m.updated_at,
    m.closed_at,
    m.due_on as due_at,
    -- GitHub keeps a due day as a moment of its early morning in UTC, wherever the company is.
    (m.due_on at time zone 'UTC')::date as due_on
from {{ source('raw_github', 'milestones') }} as raw
cross join
    jsonb_to_record(raw.payload) as m (
        repository text,
        number int,
        title text,
        description text,
        state text,
        open_issues int,
        closed_issues int,
        created_at timestamptz,
        updated_at timestamptz,
        closed_at timestamptz,
        due_on timestamptz
    )
where raw.deleted_at is null
