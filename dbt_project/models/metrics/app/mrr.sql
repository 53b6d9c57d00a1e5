{{ daily_sum(ref('fct_mrr_daily'), 'mrr', dimensions=['plan']) }}
