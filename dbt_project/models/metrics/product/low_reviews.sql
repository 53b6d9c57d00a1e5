{{ daily_count('fct_product_reviews', 'review_day', dimensions=['market', 'sku'], where='daily.is_low_rating') }}
