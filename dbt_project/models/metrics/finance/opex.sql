{{ daily_sum('fct_opex_daily', 'amount', dimensions=['account'], where='daily.is_operating') }}
