{{ daily_count('fct_competitor_price_moves', 'seen_day', dimensions=['competitor'], where='daily.is_cut') }}
