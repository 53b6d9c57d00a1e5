{{ daily_sum(ref('fct_cash_daily'), 'balance', dimensions=['account']) }}
