{{ daily_count(ref('fct_product_reviews'), 'review_day', dimensions=['market']) }}
