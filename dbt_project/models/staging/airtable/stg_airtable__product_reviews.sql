{{ config(
    unique_key='review_id',
    scope='review_id',
    changed_by={'product_reviews': 'id'},
    indexes=[{'columns': ['review_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_airtable', 'product_reviews')) }}
)

select
    changed.id as review_id,
    r.base_id,
    r.record_id,
    r.sku,
    r.rating,
    r.title,
    r.body,
    r.source,
    r.market,
    {{ cell_moment('r.reviewed_at') }} as reviewed_at,
    r.verified as is_verified,
    r.helpful_count,
    r.order_number,
    {{ failed_formulas('r.problems') }} as failed_formulas,
    r.created_time as created_at
from changed
cross join
    jsonb_to_record(changed.payload) as r (
        base_id text,
        record_id text,
        sku text,
        rating numeric,
        title text,
        body text,
        source text,
        market text,
        reviewed_at text,
        verified boolean,
        helpful_count numeric,
        order_number text,
        problems jsonb,
        created_time timestamptz
    )
