{{ config(unique_key='source') }}

-- The verdict on a stream as a whole, which holds for each of its days, and the first day that was compared: a day
-- after it with nothing on either side has no verdict of its own and is matched.
select
    tie_outs.vendor || '.' || tie_outs.stream as source,
    max({{ tie_out_rank('tie_outs.status') }}) filter (where tie_outs.day = '0001-01-01') as rank,
    min(tie_outs.day) filter (where tie_outs.day > '0001-01-01') as first_day
from {{ source('ops', 'tie_outs') }} as tie_outs
group by tie_outs.vendor, tie_outs.stream
