{{ daily_count('fct_deals', 'closed_day', where='daily.is_won') }}
