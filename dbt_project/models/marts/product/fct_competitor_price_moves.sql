{{ config(
    unique_key='competitor_price_id',
    scope='sku',
    changed_by={'int_competitor_price_spans': 'sku'},
    indexes=[{'columns': ['sku']}, {'columns': ['competitor_price_id'], 'unique': true}, {'columns': ['seen_day']}],
) }}

-- Prices that differ from the one seen before by more than what prices do of themselves.
select
    spans.competitor_price_id,
    spans.competitor,
    spans.sku,
    spans.product_name,
    spans.seen_day,
    spans.previous_day,
    spans.previous_price,
    spans.price,
    {{ company_currency() }} as currency,
    spans.change_share,
    spans.change_share < 0 as is_cut,
    spans.own_price,
    spans.gap_share,
    spans.is_undercut,
    spans.is_in_stock
from {{ ref('int_competitor_price_spans') }} as spans
where
    abs(spans.change_share) >= {{ threshold('competitor_move_share', 0.10) }}
    and {{ in_scope('spans.sku') }}
