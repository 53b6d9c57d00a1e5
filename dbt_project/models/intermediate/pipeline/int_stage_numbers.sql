{{ config(materialized='lasting_view') }}

-- Probability and expected days of each place in the pipeline, with the days on which they hold.
select
    numbers.position,
    numbers.stage,
    numbers.probability,
    numbers.expected_days,
    numbers.valid_from,
    lead(numbers.valid_from, 1, 'infinity'::date) over (
        partition by numbers.position order by numbers.valid_from
    ) as valid_to
from {{ ref('pipeline_stage_numbers') }} as numbers
