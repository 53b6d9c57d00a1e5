{{ daily_count('fct_deals', 'closed_day', where='daily.is_closed and not daily.is_won') }}
