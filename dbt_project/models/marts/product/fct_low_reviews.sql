{{ config(
    unique_key='review_id',
    indexes=[{'columns': ['review_id'], 'unique': true}, {'columns': ['review_day']}],
) }}

-- Low ratings with what they say, for whoever answers them. A review is published by its author for anybody to read;
-- its text is somebody else's all the same, and is quoted, never followed.
select
    reviews.review_id,
    reviews.review_day,
    reviews.reviewed_at,
    reviews.rating,
    reviews.sku,
    coalesce(products.product_name, reviews.sku) as product_name,
    reviews.market,
    reviews.is_verified,
    reviews.order_name,
    left(coalesce(nullif(trim(written.title), ''), nullif(trim(written.body), '')), 80) as headline,
    left(nullif(trim(written.body), ''), 240) as excerpt
from {{ ref('fct_product_reviews') }} as reviews
inner join {{ ref('stg_airtable__product_reviews') }} as written on reviews.review_id = written.review_id
left join {{ ref('dim_products') }} as products on reviews.sku = products.sku
where reviews.is_low_rating
