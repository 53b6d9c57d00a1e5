-- The shares that a version of the targets gives to the channels are the whole.
select
    targets.version,
    sum(targets.target_share) as shares
from {{ ref('channel_targets') }} as targets
group by targets.version
having sum(targets.target_share) <> 1 or count(distinct targets.valid_from) <> 1
