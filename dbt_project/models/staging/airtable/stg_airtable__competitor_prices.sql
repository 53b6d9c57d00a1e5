{{ config(
    indexes=[{'columns': ['competitor_price_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_airtable', 'competitor_prices'), 'competitor_price_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_airtable', 'competitor_prices'), 'competitor_price_id') }}
)

select
    unparsed.id as competitor_price_id,
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
    r.created_time as created_at,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join
    jsonb_to_record(unparsed.payload) as r (
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
