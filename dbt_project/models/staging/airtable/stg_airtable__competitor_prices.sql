{{ config(
    unique_key='competitor_price_id',
    scope='competitor_price_id',
    changed_by={'competitor_prices': 'id'},
    indexes=[{'columns': ['competitor_price_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_airtable', 'competitor_prices')) }}
)

select
    changed.id as competitor_price_id,
    r.base_id,
    r.record_id,
    r.competitor,
    r.sku,
    r.product as product_name,
    r.price,
    r.list_price,
    r.currency,
    {{ cell_moment('r.seen_at') }} as seen_at,
    r.in_stock as is_in_stock,
    r.url,
    {{ failed_formulas('r.problems') }} as failed_formulas,
    r.created_time as created_at
from changed
cross join
    jsonb_to_record(changed.payload) as r (
        base_id text,
        record_id text,
        competitor text,
        sku text,
        product text,
        price numeric,
        list_price numeric,
        currency text,
        seen_at text,
        in_stock boolean,
        url text,
        problems jsonb,
        created_time timestamptz
    )
