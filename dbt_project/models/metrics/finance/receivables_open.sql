{{ daily_sum(ref('fct_ageing_daily'), 'amount', dimensions=['bucket'], where="daily.side = 'receivable'") }}
