{{ config(materialized='lasting_view') }}

-- A view: days kept as moments are days of the company's zone, which may be changed.
select
    raw.id as content_entry_id,
    r.base_id,
    r.record_id,
    r.title,
    r.channel,
    r.status,
    lower(r.owner -> 0 ->> 'email') as owner_email,
    r.owner -> 0 ->> 'name' as owner_name,
    {{ cell_moment('r.publish_at') }} as publish_at,
    r.campaign,
    r.url,
    r.brief,
    {{ cell_list('r.tags') }} as tags,
    {{ failed_formulas('r.problems') }} as failed_formulas,
    r.created_time as created_at
from {{ source('raw_airtable', 'content_calendar') }} as raw
cross join
    jsonb_to_record(raw.payload) as r (
        base_id text,
        record_id text,
        title text,
        channel text,
        status text,
        owner jsonb,
        publish_at text,
        campaign text,
        url text,
        brief text,
        tags jsonb,
        problems jsonb,
        created_time timestamptz
    )
where raw.deleted_at is null
