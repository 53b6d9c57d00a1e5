{{ daily_sum('fct_cash_daily', 'change_amount', dimensions=['account']) }}
