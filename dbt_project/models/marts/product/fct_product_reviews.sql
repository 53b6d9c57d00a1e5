{{ config(
    unique_key='review_id',
    scope='review_id',
    changed_by={'stg_airtable__product_reviews': 'review_id'},
    indexes=[{'columns': ['review_id'], 'unique': true}, {'columns': ['review_day']}],
) }}

-- What people wrote and who they are stays below.
select
    reviews.review_id,
    coalesce(reviews.sku, 'unknown') as sku,
    {{ company_day('reviews.reviewed_at') }} as review_day,
    reviews.reviewed_at,
    reviews.rating,
    reviews.rating <= {{ threshold('review_low_rating', 2) }} as is_low_rating,
    coalesce(reviews.market, 'unknown') as market,
    reviews.source,
    reviews.is_verified,
    reviews.helpful_count,
    reviews.order_number as order_name
from {{ ref('stg_airtable__product_reviews') }} as reviews
where {{ in_scope('reviews.review_id') }}
