{{ config(materialized='lasting_view') }}

select
    cursors.vendor || '.' || cursors.stream as source,
    cursors.vendor,
    cursors.stream,
    cursors.fresh_to,
    {{ company_day('cursors.fresh_to') }} as fresh_day,
    -- The day in which the last sync started was not over: the day before is the last complete one.
    {{ company_day('cursors.fresh_to') }} - 1 as complete_through
from {{ source('ops', 'cursors') }} as cursors
where cursors.fresh_to is not null
