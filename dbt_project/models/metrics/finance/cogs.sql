{{ daily_sum('fct_gross_margin_daily', 'cogs', dimensions=['document_type']) }}
