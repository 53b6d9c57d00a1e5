{{ config(
    unique_key=['date', 'market'],
    scope='date',
    changed_by={'int_search_rank_spans': 'valid_from..valid_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'market'], 'unique': true}],
) }}

-- Where we stand by the last check of each keyword, on every day it is still good for.
select
    days.date,
    spans.market,
    count(*) as keywords,
    count(spans.search_position) as ranked_keywords,
    count(*) filter (where spans.is_top) as top10_keywords,
    sum(spans.counted_position) as position_sum
from {{ days_in_scope(ref('int_search_rank_spans'), 'valid_from') }} as days
inner join {{ ref('int_search_rank_spans') }} as spans
    on
        days.date >= spans.valid_from
        and days.date <= spans.valid_until
where days.date <= {{ as_of_day() }}
group by days.date, spans.market
