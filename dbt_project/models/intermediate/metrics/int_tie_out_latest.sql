{{ config(unique_key='source') }}

-- The last day that was compared. The day of the clock is not closed and never tied out: a level of that day rests
-- on this one.
select distinct on (days.source)
    days.source,
    days.day,
    days.rank
from {{ ref('int_tie_out_days') }} as days
order by days.source asc, days.day desc
