{{ daily_count(ref('fct_deals'), 'closed_day', where='daily.is_won') }}
