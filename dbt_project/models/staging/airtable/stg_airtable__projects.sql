{{ config(materialized='lasting_view') }}

-- A view: days kept as moments are days of the company's zone, which may be changed.
select
    raw.id as project_id,
    r.base_id,
    r.record_id,
    r.name as project_name,
    r.code as project_code,
    lower(r.owner -> 0 ->> 'email') as owner_email,
    r.owner -> 0 ->> 'name' as owner_name,
    lower(regexp_replace(trim(r.division), '[\s-]+', '_', 'g')) as division,
    r.status,
    case
        when r.rag ~* '\m(red|rot)\M|🔴' then 'red'
        when r.rag ~* '\m(amber|yellow|orange|gelb)\M|🟠|🟡' then 'amber'
        when r.rag ~* '\m(green|grün)\M|🟢' then 'green'
    end as rag,
    {{ cell_day('r.start_on') }} as start_on,
    {{ cell_day('r.due_on') }} as due_on,
    {{ cell_day('r.completed_on') }} as completed_on,
    r.progress,
    r.budget,
    r.currency,
    {{ cell_list('r.skus') }} as skus,
    r.blocked as is_blocked,
    r.notes,
    {{ failed_formulas('r.problems') }} as failed_formulas,
    r.created_time as created_at,
    -- Airtable does not show when a record was changed; a row is landed anew only when it was.
    raw.last_seen_at as changed_at
from {{ source('raw_airtable', 'projects') }} as raw
cross join
    jsonb_to_record(raw.payload) as r (
        base_id text,
        record_id text,
        name text,
        code text,
        owner jsonb,
        division text,
        status text,
        rag text,
        start_on text,
        due_on text,
        completed_on text,
        progress numeric,
        budget numeric,
        currency text,
        skus jsonb,
        blocked boolean,
        notes text,
        problems jsonb,
        created_time timestamptz
    )
where raw.deleted_at is null
