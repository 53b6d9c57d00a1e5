{{ daily_sum('fct_mrr_daily', 'mrr', dimensions=['plan']) }}
