{{ config(
    unique_key=['date', 'competitor'],
    scope='date',
    changed_by={'int_competitor_price_spans': 'valid_from..valid_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'competitor'], 'unique': true}],
) }}

select
    days.date,
    spans.competitor,
    count(*) as watched_prices,
    count(*) filter (where spans.is_undercut) as undercuts,
    min(spans.gap_share) as deepest_gap_share
from {{ days_in_scope(ref('int_competitor_price_spans'), 'valid_from') }} as days
inner join {{ ref('int_competitor_price_spans') }} as spans
    on
        days.date >= spans.valid_from
        and days.date <= spans.valid_until
where days.date <= {{ as_of_day() }}
group by days.date, spans.competitor
