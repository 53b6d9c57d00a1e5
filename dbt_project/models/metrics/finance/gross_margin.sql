{{ daily_sum('fct_gross_margin_daily', 'gross_margin', dimensions=['document_type']) }}
