{{ config(
    indexes=[{'columns': ['search_ranking_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_airtable', 'search_rankings'), 'search_ranking_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_airtable', 'search_rankings'), 'search_ranking_id') }}
)

select
    unparsed.id as search_ranking_id,
    r.base_id,
    r.record_id,
    r.keyword,
    r.engine,
    r.market,
    r.position as search_position,
    {{ cell_day('r.checked_on') }} as checked_on,
    r.url,
    r.search_volume,
    {{ failed_formulas('r.problems') }} as failed_formulas,
    r.created_time as created_at,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join
    jsonb_to_record(unparsed.payload) as r (
        base_id text,
        record_id text,
        keyword text,
        engine text,
        market text,
        position numeric,
        checked_on text,
        url text,
        search_volume numeric,
        problems jsonb,
        created_time timestamptz
    )
