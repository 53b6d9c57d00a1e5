{{ daily_sum(ref('fct_cash_daily'), 'change_amount', dimensions=['account']) }}
