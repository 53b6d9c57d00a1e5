{{ config(
    unique_key='search_ranking_id',
    scope='search_ranking_id',
    changed_by={'search_rankings': 'id'},
    indexes=[{'columns': ['search_ranking_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_airtable', 'search_rankings')) }}
)

select
    changed.id as search_ranking_id,
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
    r.created_time as created_at
from changed
cross join
    jsonb_to_record(changed.payload) as r (
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
