{{ daily_count('fct_product_reviews', 'review_day', dimensions=['market']) }}
