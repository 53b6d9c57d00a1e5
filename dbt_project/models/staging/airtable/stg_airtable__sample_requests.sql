{{ config(materialized='lasting_view') }}

-- A view: days kept as moments are days of the company's zone, which may be changed.
select
    raw.id as sample_request_id,
    r.base_id,
    r.record_id,
    r.reference,
    r.company as company_name,
    r.sku,
    r.quantity,
    r.status,
    lower(r.owner -> 0 ->> 'email') as owner_email,
    r.owner -> 0 ->> 'name' as owner_name,
    {{ cell_day('r.requested_on') }} as requested_on,
    {{ cell_day('r.due_on') }} as due_on,
    {{ cell_day('r.shipped_on') }} as shipped_on,
    r.tracking_number,
    r.cost,
    r.currency,
    {{ failed_formulas('r.problems') }} as failed_formulas,
    r.created_time as created_at
from {{ source('raw_airtable', 'sample_requests') }} as raw
cross join
    jsonb_to_record(raw.payload) as r (
        base_id text,
        record_id text,
        reference text,
        company text,
        sku text,
        quantity numeric,
        status text,
        owner jsonb,
        requested_on text,
        due_on text,
        shipped_on text,
        tracking_number text,
        cost numeric,
        currency text,
        problems jsonb,
        created_time timestamptz
    )
where raw.deleted_at is null
