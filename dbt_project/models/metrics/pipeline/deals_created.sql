{{ daily_count(ref('fct_deals'), 'created_day') }}
