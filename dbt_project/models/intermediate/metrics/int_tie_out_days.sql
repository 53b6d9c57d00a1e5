{{ config(
    unique_key=['source', 'day'],
    scope='day',
    changed_by={'tie_outs': 'day'},
    indexes=[{'columns': ['source', 'day'], 'unique': true}, {'columns': ['day']}],
) }}

-- The worst verdict of a stream on a day.
select
    tie_outs.vendor || '.' || tie_outs.stream as source,
    tie_outs.day,
    max({{ tie_out_rank('tie_outs.status') }}) as rank
from {{ source('ops', 'tie_outs') }} as tie_outs
where
    tie_outs.day > '0001-01-01'
    and {{ in_scope('tie_outs.day') }}
group by tie_outs.vendor, tie_outs.stream, tie_outs.day
