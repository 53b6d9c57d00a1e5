{{ daily_sum('fct_cash_daily', 'balance', dimensions=['account']) }}
