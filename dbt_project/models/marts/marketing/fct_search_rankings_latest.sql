{{ config(
    unique_key='search_ranking_id',
    indexes=[{'columns': ['search_ranking_id'], 'unique': true}],
) }}

-- Each keyword's last known place, against the last check at least a week before it.
with latest as (
    select distinct on (spans.keyword, spans.engine, spans.market) spans.*
    from {{ ref('int_search_rank_spans') }} as spans
    order by spans.keyword asc, spans.engine asc, spans.market asc, spans.checked_on desc
)

select
    latest.search_ranking_id,
    latest.keyword,
    latest.engine,
    latest.market,
    latest.search_volume,
    latest.checked_on,
    latest.valid_until >= {{ as_of_day() }} as is_current,
    latest.search_position,
    latest.is_top as is_top10,
    before.checked_on as previous_checked_on,
    before.search_position as previous_position,
    before.counted_position - latest.counted_position as places_gained,
    latest.is_top and not before.is_top as has_entered_top10,
    before.is_top and not latest.is_top as has_left_top10,
    coalesce(
        latest.is_top <> before.is_top
        or abs(before.counted_position - latest.counted_position) >= {{ threshold('search_move_places', 5) }},
        false
    ) as is_move,
    case
        when latest.is_top and not before.is_top then 'into the first ten'
        when before.is_top and not latest.is_top then 'out of the first ten'
        when before.counted_position > latest.counted_position then 'up'
        when before.counted_position < latest.counted_position then 'down'
    end as movement
from latest
left join lateral (
    select spans.*
    from {{ ref('int_search_rank_spans') }} as spans
    where
        spans.keyword = latest.keyword
        and spans.engine is not distinct from latest.engine
        and spans.market = latest.market
        and spans.checked_on between latest.checked_on - 20 and latest.checked_on - 7
    order by spans.checked_on desc
    limit 1
) as before on true
