{{ daily_count('fct_deals', 'created_day') }}
