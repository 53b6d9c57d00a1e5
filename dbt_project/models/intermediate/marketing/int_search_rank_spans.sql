{{ config(
    unique_key='search_ranking_id',
    scope='keyword',
    changed_by={'stg_airtable__search_rankings': 'keyword'},
    indexes=[{'columns': ['keyword']}, {'columns': ['search_ranking_id'], 'unique': true}, {'columns': ['valid_from']}],
) }}

-- From when until when a ranking was the latest one known: to the day before the next check, and not for ever. Of
-- two checks on one day the later counts.
with checks as (
    select distinct on (rankings.keyword, rankings.engine, rankings.market, rankings.checked_on)
        rankings.search_ranking_id,
        rankings.keyword,
        rankings.engine,
        coalesce(rankings.market, 'unknown') as market,
        rankings.search_position,
        -- Outside what is looked at is worse than its last place, not left out.
        coalesce(rankings.search_position, {{ threshold('search_unranked_position', 101) }}) as counted_position,
        rankings.checked_on,
        rankings.search_volume
    from {{ ref('stg_airtable__search_rankings') }} as rankings
    where
        rankings.checked_on is not null
        and not 'position' = any(rankings.failed_formulas)
        and {{ in_scope('rankings.keyword') }}
    order by
        rankings.keyword asc, rankings.engine asc, rankings.market asc, rankings.checked_on asc,
        rankings.created_at desc
)

select
    checks.*,
    checks.checked_on as valid_from,
    least(
        lead(checks.checked_on) over (
            partition by checks.keyword, checks.engine, checks.market
            order by checks.checked_on
        ) - 1,
        checks.checked_on + {{ threshold('search_rank_valid_days', 14) }}::int - 1
    ) as valid_until,
    checks.counted_position <= {{ threshold('search_top_positions', 10) }} as is_top
from checks
